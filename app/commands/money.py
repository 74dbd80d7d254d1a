"""`shopbridge money ...`: the operator's side of the network's payments. Every command says what it did, in figures.

What may go wrong: a payment that is ticked off twice, or handed to the bank twice. Both are impossible here: the ledger books a payment once, and
a payment is in one transfer file at most.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from app import accounts, ledger, queues, registry
from app.commands import connecting, finding, opening, showing
from app.commands.problems import stop
from app.errors import Refused
from app.extensions import db
from app.flows import compare_money, parcel_seen, pay, statements
from app.models import Connection, LedgerTransaction, Payment, Profile, Trade, TransferFile, TransferLine
from app.papers import sepa as transfer_files
from app.papers import statement as papers
from app.rules import reasons

if TYPE_CHECKING:
    from app.models import Account
    from app.registry import Provider

OPEN = ("due", "unknown")
BY = "operator"


@click.group()
def money() -> None:
    """The network's payments: provider, open payments, payouts, statements, disputes.

    The bridge never holds money. It instructs a payment provider, or a person, and writes down what happened (docs/payments.md).
    """


# --- the provider ------------------------------------------------------------------------------------------------


class Providers(click.Group):
    """One command for each payment provider that the registry knows."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In alphabetical order."""
        return [each.key for each in registry.providers().values() if each.role == "payment"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Drawn from the provider's own settings."""
        found = registry.providers().get(cmd_name)
        return _provider_command(found) if found is not None and found.role == "payment" else None


@money.group("connect", cls=Providers)
def connect() -> None:
    """Plug in the operator's payment provider. New payments go there; older ones are finished where they began."""


def _provider_command(provider: Provider) -> click.Command:
    @click.command(provider.key, help=connecting.explained(provider), short_help=f"Plug in {provider.name}.")
    @click.option(
        "--connection", metavar="KEY", help="Change settings of this connection instead of making one."
    )
    @click.option(
        "--set",
        "given",
        multiple=True,
        metavar="NAME=VALUE",
        help="One setting; may be repeated. Lists with commas, mappings as JSON.",
    )
    @click.option("--base-url", help="Another address than the provider's own, e.g. of the sandbox.")
    @showing.json_option
    def command(connection: str | None, given: tuple[str, ...], base_url: str | None, as_json: bool) -> None:
        values = connecting.read_given(provider, given)
        with opening.bridge() as app:
            if connection is not None:
                found = finding.connection(db.session(), connection, role="payment")
                if found.provider != provider.key:
                    stop(f"“{found.name}” is no connection to {provider.name}.")
                accounts.change_payment(db.session(), found, values)
            else:
                values = connecting.ask_missing(provider, values, as_json)
                found = accounts.connect_payment(
                    db.session(), provider.key, values, base_url=base_url,
                    allow_loopback=app.config["SHOPBRIDGE_ALLOW_LOOPBACK"],
                )  # fmt: skip
            db.session.commit()
            _tell_connected(
                found, connecting.look(found), connecting.public_url(app), as_json, new=connection is None
            )

    return command


def _tell_connected(
    found: Connection, checked: dict[str, Any], base: str, as_json: bool, *, new: bool
) -> None:
    """A new connection whose keys are refused is not kept."""
    if new and found.state == "needs_attention":
        name = found.name
        db.session.delete(found)
        db.session.commit()
        stop(f"{name} was not connected: {checked['says']}")
    queues.ring("out", found.id)
    by_hand = registry.provider(found.provider).by_hand
    webhook = None if by_hand else f"{base}/webhooks/payments/{found.key}"
    told = {
        "connection": found.key,
        "name": found.name,
        "state": found.state,
        "webhook_url": webhook,
        "check": checked,
    }
    if as_json:
        showing.as_json_text(told)
        return
    click.echo(f"{found.name} is {found.state} ({found.key}). {checked['says']}")
    if webhook:
        click.echo(
            f"Let the provider send its messages to {webhook}, and enter the secret it signs them with."
        )


@money.command("payer")
@click.argument("account")
@click.argument("their_id")
def payer(account: str, their_id: str) -> None:
    """THEIR_ID is what the payment provider calls the retailer ACCOUNT, who pays (Stripe: cus_...)."""
    _set_account(account, "payer_account", their_id)


@money.command("payee")
@click.argument("account")
@click.argument("their_id")
def payee(account: str, their_id: str) -> None:
    """THEIR_ID is what the payment provider calls the supplier ACCOUNT, who is paid (Stripe: acct_...)."""
    _set_account(account, "payout_account", their_id)


def _set_account(name: str, column: str, their_id: str) -> None:
    with opening.bridge():
        owner = finding.account(db.session(), name)
        profile = db.session.get(Profile, owner.id)
        if profile is None:
            stop(f"{owner.name} has no profile in the network yet.")
        setattr(profile, column, their_id.strip() or None)
        db.session.commit()
        click.echo(f"{owner.name} is {their_id.strip()} at the payment provider.")


# --- payments ------------------------------------------------------------------------------------------------------


@money.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that are done, failed or withdrawn.")
@click.option("--kind", type=click.Choice(["capture", "refund", "payout", "reverse"]))
@showing.limit_option
@showing.json_option
def listed(everything: bool, kind: str | None, limit: int, as_json: bool) -> None:
    """List payments that are open, with their amounts; newest first."""
    with opening.bridge():
        query = select(Payment, Connection.name).join(Connection, Connection.id == Payment.connection_id)
        if not everything:
            query = query.where(Payment.state.in_(OPEN))
        if kind is not None:
            query = query.where(Payment.kind == kind)
        rows = [
            _row(payment, name)
            for payment, name in db.session.execute(query.order_by(Payment.id.desc()).limit(limit))
        ]
        columns = {
            "payment": "payment", "kind": "kind", "amount": "amount", "state": "state", "who": "who", "through": "through", "at": "written",
        }  # fmt: skip
        if as_json:
            showing.as_json_text(rows)
        else:
            showing.table(rows, columns, empty="No payment is open." if not everything else "No payment yet.")


def _row(payment: Payment, through: str) -> dict[str, Any]:
    return {
        "payment": f"pay_{payment.id}",
        "key": payment.key,
        "kind": payment.kind,
        "amount": showing.money(payment.amount, payment.currency),
        "amount_minor": payment.amount,
        "currency": payment.currency,
        "state": payment.state,
        "who": _who(payment),
        "through": through,
        "external_id": payment.external_id,
        "reason": payment.reason_code,
        "at": payment.created_at,
    }


def _who(payment: Payment) -> str:
    """Who pays or is paid: the retailer of a trade, or the supplier."""
    from app.models import Account

    account_id = payment.supplier_id
    if payment.kind in {"capture", "refund"} and payment.trade_id is not None:
        account_id = db.session.get_one(Trade, payment.trade_id).retailer_id
    found = db.session.get(Account, account_id) if account_id is not None else None
    return found.name if found is not None else ""


def _payment(word: str) -> Payment:
    """By its key or its number."""
    found = db.session.scalar(select(Payment).where(Payment.key == word.strip()))
    if found is None and ":" not in word:
        found = db.session.get(Payment, finding.number(word))
    if found is None:
        stop(f"There is no payment “{word}”. `shopbridge money list --all` lists them.")
    return found


@money.command("done")
@click.argument("payments", metavar="PAYMENT...", nargs=-1)
@click.option("--file", "message_id", metavar="ID", help="All payments of this transfer file.")
@click.option("--failed", is_flag=True, help="They did not happen, and will not.")
@click.option("--why", default="", help="Why they failed.")
@showing.json_option
def done(payments: tuple[str, ...], message_id: str | None, failed: bool, why: str, as_json: bool) -> None:
    """Tick off payments by hand: the money was paid, or (--failed) will not be. A payment counts once, however often it is ticked off."""
    if bool(payments) == (message_id is not None):
        stop("Say which: PAYMENT..., or --file ID for all of a transfer file.")
    with opening.bridge():
        found = _of_file(message_id) if message_id is not None else [_payment(each) for each in payments]
        ticked = []
        for payment in sorted(found, key=lambda each: each.id):
            before = payment.state
            pay.tick_off(db.session(), payment, happened=not failed, now=datetime.now(UTC), why=why)
            db.session.commit()  # one payment is one transaction: the ledger locks one trade at a time
            ticked.append({"payment": f"pay_{payment.id}", "before": before, "state": payment.state})
        if as_json:
            showing.as_json_text(ticked)
            return
        for each in ticked:
            click.echo(f"{each['payment']} is {each['state']} (was {each['before']}).")


@money.command("ask")
@click.argument("payment")
def ask(payment: str) -> None:
    """Ask the provider what became of PAYMENT."""
    with opening.bridge():
        found = _payment(payment)
        if registry.provider(db.session.get_one(Connection, found.connection_id).provider).by_hand:
            stop(
                f"pay_{found.id} is paid by hand: nobody can be asked. Tick it off: shopbridge money done pay_{found.id}"
            )
        pay.ask(db.session(), found, datetime.now(UTC).isoformat())
        db.session.commit()
        queues.ring("out", found.connection_id)
        click.echo(
            f"The provider is being asked about pay_{found.id}. In a few seconds: shopbridge money list --all"
        )


@money.command("again")
@click.argument("payment")
def again(payment: str) -> None:
    """Instruct a refund that failed once more. The retailer's claim to it stood all the time."""
    with opening.bridge():
        found = _payment(payment)
        made = ledger.again(db.session(), found, by=ledger.Source(BY, f"payment {found.key}", "refund.again"))
        db.session.commit()
        queues.ring("out", made.connection_id)
        click.echo(
            f"pay_{made.id} takes the place of pay_{found.id}: {showing.money(made.amount, made.currency)}."
        )


@money.command("payouts")
@showing.json_option
def payouts(as_json: bool) -> None:
    """Pay every supplier now what is payable. The clock does the same once a day."""
    with opening.bridge():
        now = datetime.now(UTC)
        made = pay.run_payouts(
            db.session(), now, ledger.Source(BY, f"payouts {now.isoformat()}", "payout.by_hand")
        )
        queues.ring("out", ledger.payment_connection(db.session()).id)
        total = sum(amount for _, amount in made)
        if as_json:
            told = [{"payment": f"pay_{number}", "amount_minor": amount} for number, amount in made]
            showing.as_json_text({"payouts": told, "amount_minor": total})
        else:
            click.echo(f"{len(made)} payouts, together {showing.money(total, 'EUR')}. shopbridge money list")


@money.command("compare")
@click.option("--connection", metavar="KEY", help="Only with this provider.")
def compare(connection: str | None) -> None:
    """Hold the ledger against the provider's books now; differences become cases. The clock does the same once a day."""
    with opening.bridge():
        query = select(Connection).where(Connection.role == "payment", Connection.state == "active")
        found = (
            [finding.connection(db.session(), connection, role="payment")]
            if connection is not None
            else list(db.session.scalars(query.order_by(Connection.id)))
        )
        readable = [each for each in found if not registry.provider(each.provider).by_hand]
        if not readable:
            stop("There is no provider whose books could be read: payments are made by hand.")
        for each in readable:
            compare_money.write(db.session(), each, datetime.now(UTC).isoformat())
            db.session.commit()
            queues.ring("out", each.id)
            click.echo(f"{each.name} is being compared. In a few seconds: shopbridge cases")


@money.command("recover")
@finding.account_option
@click.option("--currency", default="EUR", show_default=True)
@click.option("--yes", is_flag=True, help="Do it; without it, only what would be taken back is shown.")
@showing.json_option
def recover(account: str, currency: str, yes: bool, as_json: bool) -> None:
    """Take what the supplier ACCOUNT owes back out of an earlier payout, where his next sales do not cover it.

    One payout is reversed, the one with the most left, up to the debt; run it again for the rest. The provider must be able to reverse a payout
    (Stripe: a transfer reversal); by hand it is a payment that the supplier makes and you tick off.
    """
    with opening.bridge():
        owner = finding.account(db.session(), account)
        now = datetime.now(UTC)
        by = ledger.Source(BY, f"recover {now.isoformat()}", "recover.by_hand")
        made = ledger.recover(db.session(), owner.id, currency.upper(), now, by)
        if made is None:
            stop(
                f"Nothing can be taken back from {owner.name}: he owes nothing in {currency.upper()}, or no payout that was done has anything left."
            )
        amount = showing.money(made.amount, made.currency)
        told = {
            "payment": f"pay_{made.id}" if yes else None,
            "amount_minor": made.amount,
            "currency": made.currency,
            "out_of": f"pay_{made.of_id}",
            "done": yes,
        }
        if yes:
            db.session.commit()
            queues.ring("out", made.connection_id)
        else:
            db.session.rollback()
        if as_json:
            showing.as_json_text(told)
            return
        if yes:
            click.echo(
                f"{amount} are being taken back from {owner.name} out of {told['out_of']} ({told['payment']}). shopbridge money list"
            )
        else:
            click.echo(
                f"{amount} would be taken back from {owner.name} out of {told['out_of']}. To do it: --yes"
            )


# --- parcels -----------------------------------------------------------------------------------------------------------


@money.command("seen")
@click.argument("parcel", metavar="PARCEL")
@click.option("--kind", type=click.Choice(["carrier_scan", "delivered"]), required=True)
@click.option("--at", type=finding.Moment(), required=True, help="When: a time, or 30m, 2h, 14d ago.")
@click.option("--number", help="Only this parcel of the trade, where PARCEL is a trade with several.")
@showing.json_option
def seen(parcel: str, kind: ledger.EvidenceKind, at: datetime, number: str | None, as_json: bool) -> None:
    """The carrier has scanned or delivered PARCEL: its tracking number, or a trade (trd_12 or its key) for all its parcels.

    Only release policies other than the tracking number wait for this (shopbridge network policy). Look at the carrier's own page, never take the
    supplier's word: it is he who is paid. The first word of each kind counts.
    """
    with opening.bridge():
        found = _trade_or_none(parcel)
        given = number if found is not None else parcel
        numbers = [found.id] if found is not None else parcel_seen.trades_of(db.session(), parcel)
        now = datetime.now(UTC)
        by = ledger.Source(BY, f"{kind} of {given or parcel} at {at.isoformat()}", "parcel.seen_by_hand")
        rows = []
        for trade_id in numbers:
            done = parcel_seen.seen(db.session(), trade_id, kind, at, now=now, by=by, number=given)
            db.session.commit()  # one trade is one transaction
            rows.append(seen_row(done))
        if as_json:
            showing.as_json_text(rows)
        for row in [] if as_json else rows:
            click.echo(f"{row['trade']}: {row['released']} released. {row['waits']}".rstrip())


def seen_row(done: parcel_seen.Seen) -> dict[str, Any]:
    """What one word about a parcel did, for people and scripts."""
    waits = [reasons.sentence(each.code, each.params, "en") for each in done.waits]
    return {
        "trade": f"trd_{done.trade_id}",
        "released": showing.money(done.released, done.currency),
        "released_minor": done.released,
        "waits": " ".join(waits),
    }


# --- transfer files --------------------------------------------------------------------------------------------------


@money.command("sepa")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Where the file goes."
)
@click.option(
    "--day", type=click.DateTime(["%Y-%m-%d"]), help="When the bank carries it out; default: tomorrow."
)
@click.option("--message", metavar="ID", help="Write a file that was made before once more, byte for byte.")
@showing.json_option
def sepa(out: Path, day: datetime | None, message: str | None, as_json: bool) -> None:
    """Write a SEPA transfer file (pain.001) with all open payouts by hand.

    Only for a licensed payment service: whoever collects retailers' money and forwards it to suppliers needs a licence (ZAG). Set
    licensed_operator=true with `shopbridge money connect manual --connection KEY --set licensed_operator=true` when you hold one.
    """
    with opening.bridge():
        if message is not None:
            made = db.session.scalar(select(TransferFile).where(TransferFile.message_id == message))
            if made is None:
                stop(f"There is no transfer file “{message}”.")
        else:
            made = _new_file(day.date() if day else datetime.now(UTC).date() + timedelta(days=1))
        out.write_bytes(made.body)
        told = {
            "message": made.message_id, "transfers": made.count, "amount_minor": made.total, "currency": made.currency,
            "sha256": made.digest, "file": out.name,
        }  # fmt: skip
        if as_json:
            showing.as_json_text(told)
            return
        click.echo(
            f"{out.name}: {made.count} transfers, {showing.money(made.total, made.currency)} ({made.message_id})."
        )
        click.echo(f"When the bank has carried it out: shopbridge money done --file {made.message_id}")


def _new_file(day: date) -> TransferFile:
    """All open payouts that are in no file yet; the file and its lines are one transaction. Raises Refused without the licence."""
    connection = _licensed()
    waiting = _waiting(connection)
    if not waiting:
        stop("No payout by hand is open that is not in a transfer file already.")
    now = datetime.now(UTC)
    message_id = f"SB{connection.id}-{now:%Y%m%d%H%M%S}"
    transfers = [_transfer(payment) for payment in waiting]
    secrets = (connection.secrets or {}).get("settings", {})
    payer = transfer_files.Payer(
        connection.settings["name"], secrets["iban"], connection.settings.get("bic") or None
    )
    body = transfer_files.credit_transfers(payer, transfers, message_id=message_id, day=day, made_at=now)
    made = TransferFile(
        connection_id=connection.id, message_id=message_id, currency="EUR", count=len(waiting), body=body,
        total=sum(payment.amount for payment in waiting), digest=hashlib.sha256(body).hexdigest(),
    )  # fmt: skip
    db.session.add(made)
    db.session.flush()
    db.session.add_all(TransferLine(payment_id=payment.id, file_id=made.id) for payment in waiting)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        stop(
            "Somebody else has just written a transfer file with some of these payouts. Look at `shopbridge money list`."
        )
    return made


def _licensed() -> Connection:
    query = select(Connection).where(Connection.role == "payment", Connection.state != "removed")
    by_hand = [each for each in db.session.scalars(query) if registry.provider(each.provider).by_hand]
    licensed = [each for each in by_hand if each.settings.get("licensed_operator")]
    if not licensed:
        raise Refused("payment.licence_missing")
    return licensed[0]


def _waiting(connection: Connection) -> list[Payment]:
    query = (
        select(Payment)
        .outerjoin(TransferLine, TransferLine.payment_id == Payment.id)
        .where(
            Payment.connection_id == connection.id,
            Payment.kind == "payout",
            Payment.currency == "EUR",
            Payment.state.in_(OPEN),
            TransferLine.payment_id.is_(None),
        )
        .order_by(Payment.id)
        .with_for_update(of=Payment)
    )
    return list(db.session.scalars(query))


def _transfer(payment: Payment) -> transfer_files.Transfer:
    """To the bank account in the supplier's profile. Raises Refused("payment.bank_missing")."""
    profile = db.session.get(Profile, payment.supplier_id)
    bank = (profile.bank or {}) if profile is not None else {}
    if not bank.get("iban"):
        raise Refused("payment.bank_missing", name=_who(payment))
    holder = bank.get("holder") or _who(payment)
    return transfer_files.Transfer(
        name=holder, iban=bank["iban"], amount=payment.amount, reference=f"PAY-{payment.id}",
        text=f"Dropshipping PAY-{payment.id}", bic=bank.get("bic") or None,
    )  # fmt: skip


def _of_file(message_id: str) -> list[Payment]:
    query = (
        select(Payment)
        .join(TransferLine, TransferLine.payment_id == Payment.id)
        .join(TransferFile, TransferFile.id == TransferLine.file_id)
        .where(TransferFile.message_id == message_id)
    )
    found = list(db.session.scalars(query))
    return found or stop(f"There is no transfer file “{message_id}”.")


# --- papers ------------------------------------------------------------------------------------------------------------


@money.command("statement")
@finding.account_option
@click.option("--role", type=click.Choice(["supplier", "retailer"]), required=True)
@click.option("--from", "start", type=click.DateTime(["%Y-%m-%d"]), required=True, help="First day (UTC).")
@click.option("--to", "end", type=click.DateTime(["%Y-%m-%d"]), required=True, help="Last day (UTC).")
@click.option("--language", type=click.Choice(["de", "en"]), default="de", show_default=True)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A .csv or .pdf file; without it, the figures are shown.",
)
@showing.json_option
def statement(
    account: str,
    role: papers.Role,
    start: datetime,
    end: datetime,
    language: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Write the statement of one merchant for a period: everything that moved his money, from balance to balance."""
    with opening.bridge():
        owner: Account = finding.account(db.session(), account)
        first = datetime.combine(start.date(), time(), UTC)
        after = datetime.combine(end.date() + timedelta(days=1), time(), UTC)
        made = statements.statement(db.session(), owner, role, first, after)
        if out is not None:
            out.write_bytes(_paper(made, out, language))
        told = {
            "account": owner.name, "role": role, "currency": made.currency, "opening_minor": made.opening, "lines": len(made.lines),
            "fees_minor": made.fees, "fee_vat_minor": made.fee_vat, "closing_minor": made.closing, "file": out.name if out else None,
        }  # fmt: skip
        if not as_json:
            told = {
                name.removesuffix("_minor"): _readable(name, value, made.currency)
                for name, value in told.items()
            }
        showing.answer(told, as_json)


def _readable(name: str, value: object, currency: str) -> object:
    """Cents as people write them; everything else as it is."""
    return showing.money(value, currency) if name.endswith("_minor") and isinstance(value, int) else value


def _paper(made: papers.Statement, out: Path, language: str) -> bytes:
    if out.suffix.lower() == ".csv":
        return papers.as_csv(made, language)
    if out.suffix.lower() == ".pdf":
        return papers.as_pdf(made, made_at=datetime.now(UTC), language=language)
    return stop("--out must end in .csv or .pdf.")


@money.command("credit-notes")
@click.argument("trade")
def credit_notes(trade: str) -> None:
    """Show the data of all credit notes of one TRADE (its key), as JSON: what the supplier's invoicing needs, with VAT shares."""
    with opening.bridge():
        found = _trade(trade)
        notes = [
            statements.credit_note(db.session(), each) for each in statements.refunds(db.session(), found)
        ]
        click.echo(json.dumps(notes, indent=2, ensure_ascii=False))


@money.command("totals")
@click.option("--account", metavar="NAME", help="Only trades of this merchant.")
@showing.json_option
def totals(account: str | None, as_json: bool) -> None:
    """Show where the network's money is: held, released, paid out, refunded, owed; and that the books add up to 0."""
    with opening.bridge():
        owner = finding.account(db.session(), account).id if account is not None else None
        found = ledger.totals(db.session(), owner)
        told = {name: getattr(found, name) for name in found.__dataclass_fields__}
        showing.answer(
            told if as_json else {name.removesuffix("_minor"): _shown(value) for name, value in told.items()},
            as_json,
        )


def _shown(minor: int) -> str:
    return showing.money(minor, "EUR")


# --- disputes ------------------------------------------------------------------------------------------------------------


@money.group("dispute")
def dispute() -> None:
    """Money that a retailer's bank takes back. Providers tell it by themselves; for payments by hand it is entered here."""


@dispute.command("open")
@click.argument("trade")
@click.argument("amount_minor", type=click.IntRange(1))
@click.option("--key", required=True, help="The bank's number of the case; the same number counts once.")
def dispute_open(trade: str, amount_minor: int, key: str) -> None:
    """Hold AMOUNT_MINOR (cents) of TRADE (its key) until the dispute is over; nothing of the trade is released or paid out meanwhile."""
    with opening.bridge():
        found = _trade(trade)
        refused = pay.open_dispute(db.session(), found, amount_minor, key=key, by=_source(key))
        db.session.commit()
        if refused is not None:
            stop(
                f"{found.key} is frozen, but not so much is there: {refused.params}. `shopbridge cases` shows it."
            )
        click.echo(f"{showing.money(amount_minor, found.currency)} of {found.key} are held.")


@dispute.command("over")
@click.argument("trade")
@click.option("--key", required=True, help="The number under which it was opened.")
@click.option("--won/--lost", required=True, help="As the operator sees it.")
def dispute_over(trade: str, key: str, won: bool) -> None:
    """The bank has decided."""
    with opening.bridge():
        found = _trade(trade)
        ledger.dispute_over(db.session(), found, won=won, key=key, by=_source(key))
        db.session.commit()
        click.echo(f"The dispute {key} of {found.key} is {'won' if won else 'lost'}.")


@dispute.command("list")
@showing.json_option
def dispute_list(as_json: bool) -> None:
    """List trades that a dispute has frozen."""
    with opening.bridge():
        rows = []
        for trade in db.session.scalars(select(Trade).where(Trade.frozen).order_by(Trade.id)):
            held = ledger.money(db.session(), trade).disputed
            opened = db.session.scalar(
                select(LedgerTransaction.at)
                .where(LedgerTransaction.trade_id == trade.id, LedgerTransaction.kind == "dispute")
                .order_by(LedgerTransaction.id.desc())
                .limit(1)
            )
            rows.append(
                {
                    "trade": trade.key,
                    "held": showing.money(held, trade.currency),
                    "held_minor": held,
                    "since": opened,
                }
            )
        columns = {"trade": "trade", "held": "held", "since": "since"}
        if as_json:
            showing.as_json_text(rows)
        else:
            showing.table(rows, columns, empty="No dispute is open.")


def _source(key: str) -> ledger.Source:
    return ledger.Source(BY, f"dispute {key}", "dispute.by_hand")


def _trade(word: str) -> Trade:
    found = db.session.scalar(select(Trade).where(Trade.key == word.strip()))
    if found is None and ":" not in word:
        found = db.session.get(Trade, finding.number(word))
    if found is None:
        stop(f"There is no trade “{word}”.")
    return found


def _trade_or_none(word: str) -> Trade | None:
    """The trade that is named by its key or as trd_12; a bare number is a tracking number."""
    told = word.strip()
    return _trade(told) if told.startswith(("trd_", "dropshipping:")) else None
