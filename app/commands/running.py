"""Running the bridge: everything on one machine (`up`), or one process at a time (`web`, `worker`, `clock`, `migrate`).

What may go wrong: a port is taken, a second bridge uses the data folder, the database is away. `up` says so before it starts anything; a
single process ends with a sentence and is started again by whoever looks after it.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from app import config
from app.commands import heartbeat, opening
from app.commands.problems import stop
from app.machine import runfile
from app.machine.servers import Postgres, Valkey
from app.machine.supervisor import Supervisor
from app.sandbox import simulators

LOOPBACK = {"127.0.0.1", "::1", "localhost"}
SHOP_PORT = 8092
SANDBOX_PACE = 60.0  # a simulator's minute is a second
START_SECONDS = 90
SKIPPED = 1_000_000  # numbers; more than a bridge gives out between two backups
TRIES = 3  # a process that ended so often while starting will not come up by itself


# --- single processes ------------------------------------------------------------------------------


@click.command()
@click.option("--host", help="Address to listen on; default SHOPBRIDGE_HOST.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on; default SHOPBRIDGE_PORT.")
def web(host: str | None, port: int | None) -> None:
    """Run the web server: events in, plugins, the API. Put a proxy with TLS in front of it."""
    from app.commands.webserver import WebServer

    settings = opening.settings()
    settings["SHOPBRIDGE_HOST"] = host or settings["SHOPBRIDGE_HOST"]
    settings["SHOPBRIDGE_PORT"] = port or settings["SHOPBRIDGE_PORT"]
    WebServer(settings).run()


@click.command()
@click.argument("lane", type=click.Choice(["in", "out", "poll"]))
@click.option("--name", help="How the heartbeat is called; default: lane, machine and process number.")
def worker(lane: Any, name: str | None) -> None:
    """Run one worker of a LANE until it is told to stop; it finishes the job in its hands.

    \b
    in    works off events of shops
    out   delivers commands and offers to partners
    poll  asks marketplaces for orders
    """
    from app import queues

    with opening.application().app_context() as context, heartbeat.of_worker(context.app, lane, name):
        queues.work(lane)


@click.command()
def clock() -> None:
    """Run the clock: retries, polls, waits and purges. Any number may run; a lock in the database lets one act."""
    from app import clock as the_clock

    with opening.application().app_context():
        the_clock.run()


@click.command()
@click.option(
    "--draft",
    metavar="TEXT",
    help="For developers: write the migration from the tables as they were to the models as they are.",
)
@click.option(
    "--restored",
    is_flag=True,
    help="After a backup was put back: skip the numbers that were given out since.",
)
def migrate(draft: str | None, restored: bool) -> None:
    """Bring the tables up to date. Harmless when they are."""
    if draft is not None:
        from app.commands.drafting import draft_migration

        click.echo(f"Written: {draft_migration(draft)}. Read it before you commit it.")
        return
    made = opening.made_from(opening.quiet(opening.settings()))
    click.echo(f"The tables are at revision {bring_tables_up_to_date(made)}.")
    if restored:
        click.echo(f"The numbers of {skip_numbers(made)} tables go on {SKIPPED:,} higher.")


def bring_tables_up_to_date(made: Any) -> str:
    """Run the migrations that are missing; answers the revision."""
    import flask_migrate
    from sqlalchemy import text

    from app.extensions import db

    with made.app_context():
        flask_migrate.upgrade()
        revision = str(db.session.execute(text("SELECT version_num FROM alembic_version")).scalar())
        db.session.remove()
        db.engine.dispose()
    return revision


def skip_numbers(made: Any) -> int:
    """Partners know commands and orders by our numbers: one of yesterday's must not be given to something new. Answers how many tables."""
    from sqlalchemy import text

    from app.extensions import db

    numbered = [table.name for table in db.metadata.sorted_tables if "id" in table.columns]
    with made.app_context():
        for name in numbered:
            place = {"table": f'"{name}"', "more": SKIPPED}
            db.session.execute(
                text(
                    "SELECT setval(s, nextval(s) + :more) FROM (SELECT pg_get_serial_sequence(:table, 'id')::regclass AS s) AS one"
                ),
                place,
            )
        db.session.commit()
        db.engine.dispose()
    return len(numbered)


# --- everything on one machine -----------------------------------------------------------------------


@click.command()
@click.option("--host", help="Address to listen on; default SHOPBRIDGE_HOST (127.0.0.1).")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port to listen on; default SHOPBRIDGE_PORT (8080)."
)
@click.option(
    "--sandbox/--no-sandbox",
    default=None,
    help="Start simulated partners too. Default: yes on 127.0.0.1 without SHOPBRIDGE_PUBLIC_URL.",
)
@click.option(
    "--sandbox-port",
    "given",
    multiple=True,
    metavar="NAME=PORT",
    help="Another port for one simulator: shop, or a marketplace's key such as kaufland. May be repeated.",
)
def up(host: str | None, port: int | None, sandbox: bool | None, given: tuple[str, ...]) -> None:
    """Run the whole bridge on this machine until Ctrl-C.

    Brings a PostgreSQL and a Valkey of its own, in the data folder, unless DATABASE_URL and REDIS_URL name others. Needs no root and
    nothing installed. Everything is restarted when it dies, and nothing stays behind when this ends.
    """
    settings = config.load()
    settings["SHOPBRIDGE_HOST"] = host or settings["SHOPBRIDGE_HOST"]
    settings["SHOPBRIDGE_PORT"] = port or settings["SHOPBRIDGE_PORT"]
    settings["SHOPBRIDGE_DATA"] = settings["SHOPBRIDGE_DATA"].absolute()
    ports = _sandbox_ports(given) if _with_sandbox(settings, sandbox) else {}
    _nothing_in_the_way(settings, ports)
    with ExitStack() as stack:
        _everything(settings, ports, stack)


def _sandbox_ports(given: tuple[str, ...]) -> dict[str, int]:
    """Simulator -> port, the shop among them."""
    ports = {key: each.port for key, each in simulators().items()} | {"shop": SHOP_PORT}
    for pair in given:
        name, _, number = pair.partition("=")
        if name not in ports or not (number.isascii() and number.isdigit() and 0 < int(number) < 65536):
            stop(f"“{pair}” is no NAME=PORT. There are: {', '.join(ports)}.")
        ports[name] = int(number)
    if len(set(ports.values())) < len(ports):
        stop(
            f"Two simulators want the same port: {', '.join(f'{name}={port}' for name, port in ports.items())}."
        )
    return ports


def _with_sandbox(settings: dict[str, Any], wanted: bool | None) -> bool:
    """The sandbox lets the bridge call this machine, so it is only for bridges that nobody else reaches."""
    private = settings["SHOPBRIDGE_HOST"] in LOOPBACK and not settings["SHOPBRIDGE_PUBLIC_URL"]
    if wanted and not private:
        stop(
            "--sandbox lets connections point at this machine, so it works only on 127.0.0.1 and without SHOPBRIDGE_PUBLIC_URL. "
            "Use --no-sandbox, or a second bridge with another SHOPBRIDGE_DATA for trying things."
        )
    return private if wanted is None else wanted


def _nothing_in_the_way(settings: dict[str, Any], ports: dict[str, int]) -> None:
    other = runfile.read(settings["SHOPBRIDGE_DATA"])
    if other is not None:
        stop(
            f"A bridge is running in {settings['SHOPBRIDGE_DATA']} already (process {other.pid}, {other.url})."
        )
    _free(settings["SHOPBRIDGE_HOST"], settings["SHOPBRIDGE_PORT"], "--port")
    for name, number in ports.items():
        _free("127.0.0.1", number, f"--sandbox-port {name}=PORT")


def _free(host: str, port: int, option: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            stop(f"Cannot listen on {host} port {port} ({error.strerror}). Choose another with {option}.")


def _everything(settings: dict[str, Any], ports: dict[str, int], stack: ExitStack) -> None:
    """Servers, tables, processes, in this order; the stack ends them in the other one."""
    data: Path = settings["SHOPBRIDGE_DATA"]
    data.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    servers = _servers(settings, stack)
    if ports:
        settings["SHOPBRIDGE_ALLOW_LOOPBACK"] = True
        settings["SHOPBRIDGE_SANDBOX_PACE"] = max(settings["SHOPBRIDGE_SANDBOX_PACE"], SANDBOX_PACE)
    click.echo("Bringing the tables up to date ...", err=True)
    bring_tables_up_to_date(opening.made_from(opening.quiet(settings)))
    supervisor = stack.enter_context(Supervisor(data / "logs"))
    supervisor.stop_on_signals()
    for server in servers:
        supervisor.keep(server)
    told = _note(settings, ports)
    runfile.write(data, told)
    stack.callback(runfile.remove, data)
    _start(supervisor, settings, ports)
    if not _comes_up(supervisor, told):
        return
    click.echo(_welcome(told, settings, time.monotonic() - began))
    supervisor.wait()
    click.echo("Stopping ...", err=True)


def _servers(settings: dict[str, Any], stack: ExitStack) -> list[Any]:
    """The embedded servers, for the URLs that are not set."""
    started: list[Any] = []
    data = settings["SHOPBRIDGE_DATA"]
    if not settings["DATABASE_URL"]:
        click.echo(f"Starting PostgreSQL in {data / 'postgres'} ...", err=True)
        database = stack.enter_context(Postgres())
        settings["DATABASE_URL"] = database.start(data)
        started.append(database)
    if not settings["REDIS_URL"]:
        click.echo(f"Starting Valkey in {data / 'valkey'} ...", err=True)
        bells = stack.enter_context(Valkey())
        settings["REDIS_URL"] = bells.start(data)
        started.append(bells)
    return started


PASSED_ON = (
    "DATABASE_URL", "REDIS_URL", "SHOPBRIDGE_DATA", "SHOPBRIDGE_HOST", "SHOPBRIDGE_PORT", "SHOPBRIDGE_PUBLIC_URL",
    "SHOPBRIDGE_ALLOW_LOOPBACK", "SHOPBRIDGE_SANDBOX_PACE",
)  # fmt: skip


def _note(settings: dict[str, Any], ports: dict[str, int]) -> runfile.RunningBridge:
    own_keys = bool(settings["SHOPBRIDGE_MASTER_KEYS"])
    return runfile.RunningBridge(
        pid=os.getpid(),
        started_at=runfile.own_start(),
        host=settings["SHOPBRIDGE_HOST"],
        port=settings["SHOPBRIDGE_PORT"],
        settings={name: _as_text(settings[name]) for name in PASSED_ON if settings[name] not in {"", False}},
        master_key_file=None if own_keys else str(settings["SHOPBRIDGE_DATA"] / "master.key"),
        sandbox={name: f"http://127.0.0.1:{number}" for name, number in ports.items()},
    )


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _start(supervisor: Supervisor, settings: dict[str, Any], ports: dict[str, int]) -> None:
    """All processes. Settings travel in the environment, which only their owner can read."""
    env = {name: _as_text(settings[name]) for name in PASSED_ON}
    if ports:
        supervisor.start("sandbox-shop", _ourselves("sandbox", "shop", "--port", str(ports["shop"])), env)
        told = [word for key in simulators() for word in ("--port", f"{key}={ports[key]}")]
        supervisor.start("sandbox-marketplaces", _ourselves("sandbox", "marketplaces", *told), env)
    supervisor.start("web", _ourselves("web"), env)
    for lane in ("in", "out", "poll"):
        for number in range(1, settings[f"SHOPBRIDGE_WORKERS_{lane.upper()}"] + 1):
            name = f"worker-{lane}-{number}"
            supervisor.start(name, _ourselves("worker", lane, "--name", name), env)
    supervisor.start("clock", _ourselves("clock"), env)


def _ourselves(*arguments: str) -> list[str]:
    # -P: another package called "app" in the current folder must not be taken for ours.
    return [sys.executable, "-P", "-m", "app.cli", *arguments]


def _comes_up(supervisor: Supervisor, told: runfile.RunningBridge) -> bool:
    """Wait until everything answers; False when somebody asked to stop meanwhile."""
    waiting = [f"{told.url}/healthz", *(f"{url}/_control/calls" for url in told.sandbox.values())]
    deadline = time.monotonic() + START_SECONDS
    while waiting:
        waiting = [url for url in waiting if not _answers(url)]
        for name in supervisor.names():
            if supervisor.restarts(name) >= TRIES:
                stop(f"{name} does not start. The end of its log:\n{_end_of(supervisor.log(name))}")
        if time.monotonic() > deadline:
            stop(
                f"{waiting[0]} did not answer within {START_SECONDS} seconds. The logs are in {supervisor.log_folder}."
            )
        if waiting and supervisor.wait(timeout=0.1):
            return False
    return True


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own address.
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _end_of(log: str) -> str:
    return "\n".join(log.splitlines()[-12:])


def _our_name() -> str:
    """How to call us in a second terminal: by name when that finds us, else by the path from here."""
    ours = Path(sys.argv[0]).absolute()
    if shutil.which("shopbridge") is not None or ours.name != "shopbridge":
        return "shopbridge"
    return os.path.relpath(ours)


def _welcome(told: runfile.RunningBridge, settings: dict[str, Any], seconds: float) -> str:
    logs, ours = settings["SHOPBRIDGE_DATA"] / "logs", _our_name()
    lines = [
        f"Shopbridge is running at {told.url} (ready after {seconds:.0f} s). Its logs are in {logs}.",
        "Stop it with Ctrl-C. In a second terminal, in this folder:",
        "",
    ]
    if told.sandbox:
        lines += [
            f'  {ours} connect sandbox --account "My shop"    a simulated shop and a simulated Kaufland, connected',
            f"  {ours} sandbox buy                            somebody buys something there",
            f"  {ours} orders                                 what became of it",
        ]
    else:
        lines += [
            f'  {ours} pair woocommerce --account "My shop"   a code to paste into the plugin of your shop',
            f'  {ours} connect kaufland --account "My shop"   asks for your keys and checks them',
        ]
    return "\n".join([*lines, f"  {ours} doctor                                 is everything in its place?"])
