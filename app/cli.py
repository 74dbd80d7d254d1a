"""The command line: `shopbridge up | connect | orders | replay | doctor | ...`. Commands are in app/commands, one file for each kind.

What may go wrong is told in one plain sentence on stderr, with exit code 1; a traceback is a defect of ours.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from types import ModuleType
from typing import Any

import click

from app.commands.problems import in_plain_words

Place = Callable[[], ModuleType]


def _running() -> ModuleType:
    from app.commands import running

    return running


def _playground() -> ModuleType:
    from app.commands import playground

    return playground


def _connecting() -> ModuleType:
    from app.commands import connecting

    return connecting


def _looking() -> ModuleType:
    from app.commands import looking

    return looking


def _acting() -> ModuleType:
    from app.commands import acting

    return acting


def _checking() -> ModuleType:
    from app.commands import checking

    return checking


def _sealing() -> ModuleType:
    from app.commands import sealing

    return sealing


def _network() -> ModuleType:
    from app.commands import network

    return network


def _money() -> ModuleType:
    from app.commands import money

    return money


# Where each command is; imported when it is asked for, so that `shopbridge --help` answers at once.
PLACES: dict[str, tuple[Place, str]] = {
    "up": (_running, "Run the whole bridge on this machine."),
    "web": (_running, "Run the web server."),
    "worker": (_running, "Run one worker of a lane: in, out or poll."),
    "clock": (_running, "Run the clock, which starts what is due."),
    "migrate": (_running, "Bring the tables up to date."),
    "sandbox": (_playground, "Simulated partners to try things with."),
    "connect": (_connecting, "Plug in a marketplace, a supplier system or the sandbox."),
    "pair": (_connecting, "Make a pairing code for a shop plugin."),
    "check": (_connecting, "Check one connection, and set it active again when it works."),
    "rotate": (_connecting, "Change the signing secrets of a shop."),
    "token": (_connecting, "Make a token for the JSON API."),
    "connections": (_looking, "List shops and marketplaces."),
    "events": (_looking, "List messages of shops."),
    "event": (_looking, "Show one message of a shop."),
    "orders": (_looking, "List orders of all marketplaces."),
    "order": (_looking, "Show one order: its story, and why it is not shipped yet."),
    "offers": (_looking, "List what marketplaces show."),
    "cases": (_looking, "List problems somebody must look at."),
    "dead": (_looking, "List what is stuck, in both directions."),
    "accept": (_acting, "Accept or refuse an order that waits for the seller's answer."),
    "reject-return": (_acting, "Reject a return at its marketplace, with a reason."),
    "replay": (_acting, "Work stuck events or commands off again."),
    "holiday": (_acting, "Put every offer to stock 0 and back, with proof."),
    "remove": (_acting, "Unplug a shop or a marketplace; what it did stays readable."),
    "sync": (_acting, "Send offers to a marketplace, or leave them as they are."),
    "network": (_network, "The dropshipping network: profiles, partners, releases, trades."),
    "money": (_money, "The network's payments: provider, open payments, payouts, statements."),
    "reseal": (_sealing, "Encrypt everything anew under the newest master key."),
    "doctor": (_checking, "Say what is wrong, and what to do."),
    "conformance": (_checking, "Test a supplier system against the protocol."),
    "demo": (_checking, "Show the main job with simulated partners."),
}


class Commands(click.Group):
    """Finds commands late, and tells errors in plain words."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table, which is the order in which one needs them."""
        return list(PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now; None when there is none of this name."""
        if cmd_name not in PLACES:
            return None
        find, _ = PLACES[cmd_name]
        found: click.Command = getattr(find(), cmd_name.replace("-", "_"))
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in PLACES.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; whatever a person can do something about becomes one sentence."""
        with in_plain_words():
            return super().invoke(ctx)


def _version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"shopbridge {importlib.metadata.version('shopbridge')}")
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version."
)
def main() -> None:
    """Shopbridge: plug a shop in once, sell everywhere.

    Begin with `shopbridge up`, then in a second terminal `shopbridge connect sandbox --account "My shop"`. Commands that answer
    something take --json for scripts. `shopbridge COMMAND --help` explains one command.
    """


if __name__ == "__main__":
    main()
