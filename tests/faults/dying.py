"""Death of a worker: raised out of a drawn commit, before or after it, so that no handler sees it and nothing further is written."""

from __future__ import annotations

import random

import pytest
from sqlalchemy.orm import Session


class Killed(BaseException):
    """What a process sees of kill -9: no handler catches it, no further commit happens."""


class Commits:
    """Every commit of this process. After `kill_within(n)` one of the next n commits is the last; `spare()` takes that back."""

    def __init__(self, drawn: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
        self._random = drawn
        self._left: int | None = None
        commit = Session.commit

        def maybe(session: Session) -> None:
            if self._strikes():
                if self._random.random() < 0.3:
                    commit(session)  # dies right after it
                raise Killed
            commit(session)

        monkeypatch.setattr(Session, "commit", maybe)

    def _strikes(self) -> bool:
        if self._left is None:
            return False
        self._left -= 1
        if self._left >= 0:
            return False
        self._left = None
        return True

    def kill_within(self, commits: int) -> None:
        self._left = self._random.randrange(commits)

    def spare(self) -> None:
        self._left = None
