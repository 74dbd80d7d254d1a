"""What one sees of the demo: a moving line on a terminal, plain lines elsewhere, and a table at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table


class Screen:
    """Use as a context; `step` says what happens now, `note` what has happened."""

    def __init__(self, steps: int, *, plain: bool = False) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self._began = time.monotonic()
        self._steps = steps
        self._done = 0
        self._moving: Progress | None = None
        self._task: TaskID | None = None
        if self.console.is_terminal and not plain:
            self._moving = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                TimeElapsedColumn(),
                console=self.console,
                transient=True,
            )

    def __enter__(self) -> Self:
        if self._moving is not None:
            self._moving.start()
            self._task = self._moving.add_task("", total=self._steps)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._moving is not None:
            self._moving.stop()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._began

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """One part of the day."""
        if self._moving is not None and self._task is not None:
            self._moving.update(self._task, description=escape(text), completed=self._done)
        self._line(text)
        yield
        self._done += 1

    def note(self, text: str) -> None:
        """Something that happened beside."""
        self._line(f"  {text}")

    def table(self, rows: Sequence[tuple[str, Any, str]]) -> None:
        """What happened: (what, figure, remark)."""
        if not self.console.is_terminal:
            width = max(len(what) for what, _, _ in rows)
            for what, figure, remark in rows:
                self.console.print(escape(f"  {what:<{width}}  {figure!s:>12}  {remark}".rstrip()))
            return
        table = Table()
        table.add_column("The day")
        table.add_column("", justify="right")
        table.add_column("")
        for what, figure, remark in rows:
            table.add_row(escape(what), escape(str(figure)), escape(remark))
        self.console.print(table)

    def say(self, text: str) -> None:
        """A line by itself."""
        self.console.print(escape(text))

    def _line(self, text: str) -> None:
        self.console.print(escape(f"{self.seconds:5.1f} s  {text}"))
