"""The dropshipping network on the command line: profiles and the operator's word, partners, price groups, goods, trades, packing slips.

What may go wrong: a profile with mistakes; all of them are told at once, each with its field. What changes here reaches shops by the clock.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import click
from flask import current_app
from sqlalchemy import or_, select

from app import ledger, outbox, queues
from app import trades as of_trades
from app.commands import finding, opening, showing
from app.commands.problems import stop
from app.errors import Invalid, Refused
from app.extensions import db
from app.flows import catalogue, network_members, packing_slip, parcel_seen, products_released, shop_moved
from app.models import Account, Connection, Listing, Partnership, PriceGroup, Product, Profile, Release, Trade
from app.papers import slip
from app.rules import reasons
from app.web import network_forms


@click.group()
def network() -> None:
    """The dropshipping network: who trades with whom, what is released, what became of it."""


# --- profiles -----------------------------------------------------------------------------------------------------------------


@network.group()
def profile() -> None:
    """Who a merchant is in the network, and the operator's word on it."""


@profile.command("show")
@finding.account_option
@showing.json_option
def show_profile(account: str, as_json: bool) -> None:
    """Show a profile."""
    with opening.bridge():
        found = db.session.get(Profile, finding.account(db.session(), account).id)
        told = network_forms.profile_shown(found, decimal=True)
        told["bank"] = (
            found.bank if found is not None else None
        )  # the operator compares it with what he was told
        showing.answer(told if as_json else _flat(told), as_json)


def _flat(told: dict[str, Any]) -> dict[str, Any]:
    """Addresses and accounts on one line each."""
    shown = dict(told)
    for name in ("address", "return_address", "bank"):
        shown[name] = ", ".join(str(value) for value in (told[name] or {}).values() if value)
    shown["documents"] = ", ".join(
        f"{each['kind']} {each.get('number') or ''}".strip() for each in told["documents"]
    )
    return shown


@profile.command("list")
@click.option(
    "--state", type=click.Choice(["draft", "submitted", "approved", "refused"]), help="Only in this state."
)
@showing.limit_option
@showing.json_option
def list_profiles(state: str | None, limit: int, as_json: bool) -> None:
    """List members; who waits for the operator stands first."""
    with opening.bridge():
        waits = (Profile.state == "submitted") | Profile.payout_blocked
        query = select(Profile, Account.name).join(Account, Account.id == Profile.account_id)
        if state is not None:
            query = query.where(Profile.state == state)
        rows = db.session.execute(query.order_by(waits.desc(), Profile.account_id).limit(limit)).all()
        _show(
            [_member(*row) for row in rows], _MEMBER, as_json, empty="Nobody takes part in the network yet."
        )


_MEMBER = {
    "account": "account", "company": "company", "roles": "roles", "vat_id": "VAT id", "state": "state", "payouts": "payouts", "reason": "why",
    "submitted_at": "submitted",
}  # fmt: skip


def _member(found: Profile, name: str) -> dict[str, Any]:
    roles = [role for role in ("supplier", "retailer") if getattr(found, role)]
    return {
        "account": name,
        "company": (found.address or {}).get("company"),
        "roles": ", ".join(roles),
        "vat_id": found.vat_id,
        "state": found.state,
        "payouts": "blocked" if found.payout_blocked else "open",
        "reason": found.reason,
        "submitted_at": found.submitted_at,
    }


@profile.command("submit")
@finding.account_option
@click.option("--supplier/--no-supplier", default=None, help="Take part as a supplier.")
@click.option("--retailer/--no-retailer", default=None, help="Take part as a retailer.")
@click.option(
    "--address",
    "addresses",
    type=(str, str),
    multiple=True,
    metavar="FIELD VALUE",
    help="E.g. --address company Teeladen.",
)
@click.option(
    "--return-address",
    "returns",
    type=(str, str),
    multiple=True,
    metavar="FIELD VALUE",
    help="Where returns go, if elsewhere.",
)
@click.option(
    "--bank", "banks", type=(str, str), multiple=True, metavar="FIELD VALUE", help="iban, bic, holder."
)
@click.option(
    "--set",
    "values",
    type=(str, str),
    multiple=True,
    metavar="FIELD VALUE",
    help="E.g. --set shipping_price 4.90.",
)
@showing.json_option
def submit_profile(
    account: str,
    supplier: bool | None,
    retailer: bool | None,
    addresses: tuple[tuple[str, str], ...],
    returns: tuple[tuple[str, str], ...],
    banks: tuple[tuple[str, str], ...],
    values: tuple[tuple[str, str], ...],
    as_json: bool,
) -> None:
    """Fill in a profile and hand it to the operator. What is not named stays.

    \b
    shopbridge network profile submit --account "Anna's Teeladen" --supplier --address company "Anna's Teeladen" \\
      --address address_1 "Teeweg 1" --address postcode 20095 --address city Hamburg --address country DE \\
      --set vat_id DE136695976 --bank iban DE89370400440532013000 --bank holder Anna --set shipping_price 4.90
    """
    with opening.bridge():
        owner = finding.account(db.session(), account)
        known = db.session.get(Profile, owner.id)
        told = {name: _typed(name, value) for name, value in values}
        told |= {
            name: value
            for name, value in (("supplier", supplier), ("retailer", retailer))
            if value is not None
        }
        for name, pairs in (("address", addresses), ("return_address", returns), ("bank", banks)):
            if pairs:
                told[name] = {**((getattr(known, name) or {}) if known is not None else {}), **dict(pairs)}
        _unknown(told, addresses + returns, banks)
        try:
            wanted = network_forms.load(network_forms.ProfileForm(), told)
            submit = wanted.pop("submit")
            saved = network_members.save_profile(
                db.session(), owner, wanted, submit=submit, now=datetime.now(UTC)
            )
        except Invalid as error:
            _all_mistakes(error)
        _finish(owner.id)
        showing.answer(_member(saved, owner.name), as_json)


def _typed(name: str, value: str) -> Any:
    """Values of the command line are text; flags and minutes are not."""
    if name == "hold_minutes" and value.isdigit():
        return int(value)
    if name in {"accepts_partners", "accepts_orders", "submit"} and value.lower() in {
        "yes",
        "no",
        "true",
        "false",
    }:
        return value.lower() in {"yes", "true"}
    return value


def _unknown(
    told: dict[str, Any], address: tuple[tuple[str, str], ...], bank: tuple[tuple[str, str], ...]
) -> None:
    """A name that does not exist is a typing mistake; the form itself would leave it out silently."""
    forms = (
        (told, network_forms.ProfileForm),
        (dict(address), network_forms.AddressForm),
        (dict(bank), network_forms.BankForm),
    )
    for given, form in forms:
        known = set(form().fields)
        if wrong := sorted(set(given) - known):
            stop(f"There is no field {', '.join(wrong)}. There are: {', '.join(sorted(known))}.")


def _all_mistakes(error: Refused) -> NoReturn:
    db.session.rollback()
    stop(
        "\n".join(f"{each['field']}: {each['message']}" for each in network_forms.mistakes_shown(error, "en"))
    )


@profile.command("approve")
@finding.account_option
@click.option(
    "--submitted",
    type=finding.Moment(),
    help="When it was submitted, as `profile show` says: refused if it was changed since you looked.",
)
@showing.json_option
def approve_profile(account: str, submitted: datetime | None, as_json: bool) -> None:
    """As the operator: yes to a submitted profile, or to a new bank account. Look at the VAT id (VIES) first."""
    with opening.bridge():
        owner = finding.account(db.session(), account)
        found = network_members.approve(db.session(), owner.id, now=datetime.now(UTC), submitted_at=submitted)
        _finish(owner.id)
        showing.answer(_member(found, owner.name), as_json)


@profile.command("refuse")
@finding.account_option
@click.option("--reason", required=True, help="What is missing; the merchant reads it.")
@showing.json_option
def refuse_profile(account: str, reason: str, as_json: bool) -> None:
    """As the operator: no, and why. Also takes an approval back."""
    with opening.bridge():
        owner = finding.account(db.session(), account)
        found = network_members.refuse(db.session(), owner.id, reason, now=datetime.now(UTC))
        _finish(owner.id)
        showing.answer(_member(found, owner.name), as_json)


@profile.command("withdraw")
@finding.account_option
@showing.json_option
def withdraw_profile(account: str, as_json: bool) -> None:
    """Leave the network: all partnerships end, the profile is a draft again. Refused while an order is under way or money is not settled."""
    with opening.bridge():
        owner = finding.account(db.session(), account)
        found = network_members.withdraw(db.session(), owner.id)
        _finish(owner.id)
        showing.answer(_member(found, owner.name), as_json)


def _finish(account_id: int) -> None:
    """The releases are decided anew (K1, K4); listings are stale and pushed by the clock's next ring."""
    products_released.look(db.session(), account_id)
    db.session.commit()


def _show(rows: list[dict[str, Any]], columns: dict[str, str], as_json: bool, *, empty: str) -> None:
    if as_json:
        showing.as_json_text(rows)
    else:
        showing.table(rows, columns, empty=empty)


# --- partners -------------------------------------------------------------------------------------------------------------------


@network.group(invoke_without_command=True)
@click.option("--account", metavar="NAME", help="Only of this merchant.")
@showing.json_option
@click.pass_context
def partners(ctx: click.Context, account: str | None, as_json: bool) -> None:
    """List who trades with whom; the commands below change it."""
    if ctx.invoked_subcommand is not None:
        return
    with opening.bridge():
        query = select(Partnership).order_by(Partnership.id)
        if account is not None:
            query = network_members.partnerships(finding.account(db.session(), account).id)
        rows = [_partner(each) for each in db.session.scalars(query)]
        _show(rows, _PARTNER, as_json, empty="Nobody trades with anybody yet.")


_PARTNER = {
    "id": "id",
    "retailer": "retailer",
    "supplier": "supplier",
    "state": "state",
    "by": "by",
    "price_group": "price group",
    "released": "money released by",
}


def _partner(row: Partnership) -> dict[str, Any]:
    group = db.session.get(PriceGroup, row.price_group_id) if row.price_group_id is not None else None
    return {
        "id": f"pts_{row.id}",
        "retailer": _name(row.retailer_id),
        "supplier": _name(row.supplier_id),
        "state": row.state,
        "by": row.reason,
        "price_group": group.name if group is not None else None,
        "released": _policy(row),
    }


def _name(account_id: int) -> str:
    return db.session.get_one(Account, account_id).name


@partners.command("ask")
@finding.account_option
@click.option("--supplier", required=True, metavar="NAME", help="Account of the supplier.")
@showing.json_option
def ask(account: str, supplier: str, as_json: bool) -> None:
    """As a retailer, ask a supplier."""
    with opening.bridge():
        asker, asked = (finding.account(db.session(), name) for name in (account, supplier))
        found = network_members.ask(db.session(), asker.id, asked.id)
        db.session.commit()
        showing.answer(_partner(found), as_json)


def _side(action: str) -> click.Command:
    """`accept`, `refuse`, `pause`, `resume` and `end` differ by one word."""

    @click.command(action, help=f"As --account, {action} the partnership with --with.")
    @finding.account_option
    @click.option("--with", "other", required=True, metavar="NAME", help="Account of the other side.")
    @showing.json_option
    def act(account: str, other: str, as_json: bool) -> None:
        with opening.bridge():
            me, them = (finding.account(db.session(), name) for name in (account, other))
            found = network_members.act(db.session(), me.id, _between(me, them).id, action)
            db.session.commit()
            showing.answer(_partner(found), as_json)

    return act


for _action in network_members.ACTIONS[1:]:
    partners.add_command(_side(_action))


def _between(one: Account, two: Account) -> Partnership:
    """The partnership of two accounts. Where each retails for the other there are two: the one in which the first supplies."""
    either = or_(
        (Partnership.supplier_id == one.id) & (Partnership.retailer_id == two.id),
        (Partnership.supplier_id == two.id) & (Partnership.retailer_id == one.id),
    )
    first = (Partnership.supplier_id == one.id).desc()
    found = db.session.scalar(select(Partnership).where(either).order_by(first).limit(1))
    if found is None:
        stop(f"“{one.name}” and “{two.name}” do not trade with each other, and nobody has asked.")
    return found


@network.command("price-group")
@finding.account_option
@click.argument("name", required=False)
@click.option("--discount", metavar="PERCENT", help="Make or change the group: 5 or 7.5.")
@click.option("--give", metavar="RETAILER", help="Put this retailer (account) into the group.")
@click.option("--take", metavar="RETAILER", help="Take this retailer out of his group.")
@showing.json_option
def price_group(
    account: str, name: str | None, discount: str | None, give: str | None, take: str | None, as_json: bool
) -> None:
    """List a supplier's price groups, change one, put retailers in and out."""
    with opening.bridge():
        owner = finding.account(db.session(), account)
        if (discount or give) and name is None:
            stop("Name the group.")
        if name is not None and discount is not None:
            wanted = network_forms.load(network_forms.GroupForm(), {"name": name, "discount": discount})
            network_members.set_group(db.session(), owner.id, wanted["name"], wanted["discount"])
        for retailer, group in ((give, name), (take, None)):
            if retailer is not None:
                other = finding.account(db.session(), retailer)
                network_members.give_group(db.session(), owner.id, _between(owner, other).id, group)
        db.session.commit()
        rows = db.session.scalars(
            select(PriceGroup).where(PriceGroup.supplier_id == owner.id).order_by(PriceGroup.id)
        )
        told = [{"name": row.name, "discount": f"{network_forms.percent(row.discount_bp)} %"} for row in rows]
        _show(
            told, {"name": "price group", "discount": "discount"}, as_json, empty="There are no price groups."
        )


# --- goods, trades, papers --------------------------------------------------------------------------------------------------------


@network.command()
@finding.account_option
@click.option("--state", type=click.Choice(["released", "not_released"]), help="Only these.")
@showing.limit_option
@showing.json_option
def released(account: str, state: str | None, limit: int, as_json: bool) -> None:
    """List a supplier's products: released, or not and why."""
    with opening.bridge():
        owner = finding.account(db.session(), account)
        query = select(Release, Product).join(Product, Product.id == Release.product_id)
        query = query.where(Release.account_id == owner.id)
        if state is not None:
            query = query.where(Release.state == state)
        rows = db.session.execute(query.order_by(Release.state, Product.sku, Product.id).limit(limit)).all()
        _show(
            [_goods(*row) for row in rows],
            _GOODS,
            as_json,
            empty="No product was looked at yet: is the shop connected?",
        )


_GOODS = {
    "id": "id",
    "sku": "SKU",
    "gtin": "GTIN",
    "title": "title",
    "state": "state",
    "price": "dealer price",
    "why": "why",
}


def _goods(release: Release, product: Product) -> dict[str, Any]:
    told = [reasons.sentence(each["code"], each.get("params"), "en") for each in release.reasons]
    price = None if release.price is None else showing.money(release.price, release.currency or "")
    return {
        "id": f"prd_{product.id}",
        "sku": product.sku,
        "gtin": product.gtin,
        "title": product.title,
        "state": release.state,
        "price": price,
        "why": " ".join(told),
    }


@network.command("catalogue")
@finding.account_option
@click.option("--connection", metavar="KEY", help="Which of the retailer's shops (key or name), if several.")
@click.option("--search", metavar="WORDS", help="Only products whose title has these words.")
@showing.limit_option
@showing.json_option
def show_catalogue(
    account: str, connection: str | None, search: str | None, limit: int, as_json: bool
) -> None:
    """List what a retailer's partners offer him, with his dealer prices."""
    with opening.bridge():
        shop = _retailer_shop(account, connection)
        found = catalogue.search(db.session(), shop, catalogue.Query(text=search, per_page=limit))
        rows = [_offered(each) for each in found.items]
        _show(rows, _OFFERED, as_json, empty="Nothing is offered: `shopbridge network partners` shows with whom he trades.")  # fmt: skip


_OFFERED = {
    "product": "product", "title": "title", "gtin": "GTIN", "supplier": "supplier", "dealer_price": "dealer price",
    "recommended_price": "recommended", "stock": "stock", "listed": "in his shop",
}  # fmt: skip


def _offered(item: catalogue.Item) -> dict[str, Any]:
    recommended = item.recommended_price
    return {
        "product": f"prd_{item.product_id}",
        "title": item.title,
        "gtin": item.gtin,
        "supplier": item.supplier,
        "dealer_price": None
        if item.dealer_price is None
        else showing.money(item.dealer_price, item.currency),
        "recommended_price": None if recommended is None else showing.money(recommended, item.currency),
        "stock": item.stock,
        "listed": item.listed,
    }


def _retailer_shop(account: str, word: str | None) -> Connection:
    """The shop into which this retailer lists; he must be approved, as when he asks from the shop itself."""
    owner = finding.account(db.session(), account)
    member = db.session.get(Profile, owner.id)
    if member is None or not member.retailer or member.state != "approved":
        raise Refused("profile.not_approved")
    return _only_shop(owner, word)


def _only_shop(owner: Account, word: str | None) -> Connection:
    """The shop that is meant: the only one, or the one that is named."""
    query = select(Connection).where(Connection.account_id == owner.id, Connection.role == "shop")
    shops = list(db.session.scalars(query.where(Connection.state != "removed").order_by(Connection.id)))
    if word is not None:
        named = finding.connection(db.session(), word, role="shop")
        shops = [each for each in shops if each.id == named.id]
    if len(shops) > 1:
        stop(
            f"“{owner.name}” has several shops. Say which: --connection {' or '.join(each.key for each in shops)}."
        )
    if not shops:
        stop(f"“{owner.name}” has no {'such ' if word else ''}shop. `shopbridge connections` lists them.")
    return shops[0]


@network.command("import")
@finding.account_option
@click.option("--connection", metavar="KEY", help="Which of the retailer's shops (key or name), if several.")
@click.option(
    "--rule",
    nargs=2,
    metavar="KIND VALUE",
    help="The price: plus_percent 60 on the dealer price, minus_percent 5 off the recommended one, fixed 9.90. Without it: the recommended price.",
)
@click.argument("products", nargs=-1, required=True)
@showing.json_option
def take_over(
    account: str,
    connection: str | None,
    rule: tuple[str, str] | None,
    products: tuple[str, ...],
    as_json: bool,
) -> None:
    """Put PRODUCTS (prd_12) of the catalogue into a retailer's shop; one that is there gets the new price rule."""
    with opening.bridge():
        shop = _retailer_shop(account, connection)
        wanted = [finding.number(each) for each in products]
        told = {"kind": rule[0], "value": rule[1]} if rule else {}
        taken = catalogue.list_products(db.session(), shop, wanted, told)
        db.session.commit()
        for connection_id in outbox.given_work(db.session()):
            queues.ring("out", connection_id)
        refused = {f"prd_{each.product_id}": reasons.sentence(each.reason.code, each.reason.params, "en") for each in taken.refused}  # fmt: skip
        answer = {"shop": shop.name, "queued": taken.queued, "refused": refused}
        showing.answer(answer if as_json else {**answer, "refused": " ".join(f"{name}: {why}" for name, why in refused.items())}, as_json)  # fmt: skip


@network.command("listings")
@finding.account_option
@click.option("--connection", metavar="KEY", help="Only in this shop (key or name).")
@click.option("--state", type=click.Choice(["waiting", "listed", "withdrawn", "refused"]), help="Only these.")
@showing.limit_option
@showing.json_option
def listings(account: str, connection: str | None, state: str | None, limit: int, as_json: bool) -> None:
    """List suppliers' products in a retailer's shops, and why one is not on sale."""
    with opening.bridge():
        owner = finding.account(db.session(), account)
        query = select(Listing, Product).join(Product, Product.id == Listing.product_id)
        query = query.where(Listing.account_id == owner.id)
        if connection is not None:
            query = query.where(
                Listing.shop_id == finding.connection(db.session(), connection, role="shop").id
            )
        if state is not None:
            query = query.where(Listing.state == state)
        rows = db.session.execute(query.order_by(Product.title, Listing.id).limit(limit)).all()
        _show(
            [_listing(*row) for row in rows], _LISTING, as_json, empty="Nothing of suppliers is in his shops."
        )


_LISTING = {
    "product": "product", "title": "title", "supplier": "supplier", "shop_product_id": "in the shop", "state": "state", "on": "on",
    "stock": "stock", "price": "price", "why": "why",
}  # fmt: skip


def _listing(row: Listing, product: Product) -> dict[str, Any]:
    sent = row.sent or {}
    return {
        "id": f"lst_{row.id}",
        "product": f"prd_{product.id}",
        "title": product.title,
        "supplier": network_members.company(db.session(), product.account_id),
        "shop_product_id": row.shop_product_id,
        "state": row.state,
        "on": row.switched_on,
        "stock": sent.get("stock"),
        "price": sent.get("price"),
        "why": None
        if row.reason_code is None
        else reasons.sentence(row.reason_code, row.reason_params, "en"),
    }


@network.command("remove")
@finding.account_option
@click.option("--connection", metavar="KEY", help="Which of the retailer's shops (key or name), if several.")
@click.option("--all", "everything", is_flag=True, help="Everything of suppliers that is in this shop.")
@click.argument("products", metavar="[PRODUCT]...", nargs=-1)
@showing.json_option
def take_out(
    account: str, connection: str | None, everything: bool, products: tuple[str, ...], as_json: bool
) -> None:
    """Take PRODUCTs (prd_12) of suppliers out of a retailer's shop: stock 0, and what came from the network is hidden. Orders go on.

    `network partners end` ends a whole partnership, `network profile withdraw` a membership.
    """
    if bool(products) == everything:
        stop("Say which: PRODUCT..., or --all. `shopbridge network listings` lists them.")
    with opening.bridge():
        owner = finding.account(db.session(), account)
        shop = _only_shop(owner, connection)
        wanted = [finding.number(each) for each in products]
        if everything:
            wanted = list(db.session.scalars(select(Listing.product_id).where(Listing.shop_id == shop.id)))
        withdrawn = catalogue.unlist(db.session(), shop, wanted)
        db.session.commit()
        for connection_id in outbox.given_work(db.session()):
            queues.ring("out", connection_id)
        showing.answer({"shop": shop.name, "withdrawn": withdrawn}, as_json)


@network.command()
@click.option("--account", metavar="NAME", help="Only in which this merchant supplies or retails.")
@click.option("--state", help="Only in this state, e.g. held.")
@showing.limit_option
@showing.json_option
def trades(account: str | None, state: str | None, limit: int, as_json: bool) -> None:
    """List suppliers' parts of orders with their money."""
    with opening.bridge():
        query = select(Trade).order_by(Trade.id.desc()).limit(limit)
        if account is not None:
            owner = finding.account(db.session(), account)
            query = query.where(or_(Trade.supplier_id == owner.id, Trade.retailer_id == owner.id))
        if state is not None:
            query = query.where(Trade.state == state)
        rows = [_trade(each) for each in db.session.scalars(query)]
        _show(rows, _TRADE, as_json, empty="No order went through the network yet.")


_TRADE = {
    "id": "id", "retailer": "retailer", "supplier": "supplier", "state": "state", "total": "total", "held": "held", "released": "released",
    "refunded": "refunded", "paid_out": "paid out", "receivable": "owed", "created_at": "since",
}  # fmt: skip


def _trade(trade: Trade) -> dict[str, Any]:
    money = ledger.money(db.session(), trade)
    amounts = {
        "total": trade.total,
        "held": money.escrow,
        "released": money.released,
        "refunded": money.refunded,
        "paid_out": money.paid_out,
        "receivable": money.receivable,
    }
    return {
        "id": f"trd_{trade.id}",
        "retailer": _name(trade.retailer_id),
        "supplier": _name(trade.supplier_id),
        "state": trade.state,
        **{name: showing.money(value, trade.currency) for name, value in amounts.items()},
        "created_at": trade.created_at,
    }


@network.command("received")
@finding.account_option
@click.argument("trade", metavar="TRADE")
@click.option("--at", type=finding.Moment(), help="When the customer had it; default: now.")
@click.option("--number", help="Only this parcel (tracking number), where the trade has several.")
@showing.json_option
def received(account: str, trade: str, at: datetime | None, number: str | None, as_json: bool) -> None:
    """As the retailer, confirm that the parcel of TRADE (trd_12) has arrived. It counts as delivered for the release of the supplier's money (K11)."""
    with opening.bridge():
        owner, now = finding.account(db.session(), account), datetime.now(UTC)
        done = parcel_seen.received(
            db.session(), owner.id, finding.number(trade), at or now, now=now, number=number
        )
        db.session.commit()
        waits = " ".join(reasons.sentence(each.code, each.params, "en") for each in done.waits)
        told = {"trade": f"trd_{done.trade_id}", "released_minor": done.released, "waits": waits}
        shown = {
            "trade": told["trade"],
            "released": showing.money(done.released, done.currency),
            "waits": waits,
        }
        showing.answer(told if as_json else shown, as_json)


@network.command("policy")
@click.option("--account", required=True, metavar="NAME", help="The supplier.")
@click.option("--with", "other", required=True, metavar="NAME", help="The retailer.")
@click.argument("kind", type=click.Choice(["tracking", "carrier_scan", "delivered"]))
@click.option("--days", type=click.IntRange(0, 90), default=0, show_default=True, help="After the delivery.")
@showing.json_option
def policy(account: str, other: str, kind: str, days: int, as_json: bool) -> None:
    """As the operator, say when the supplier's money is released (K11): with a tracking number (default), the carrier's scan, or days after delivery.

    It counts for orders from now on. `shopbridge money seen` and `shopbridge network received` tell what the stricter ones wait for.
    """
    with opening.bridge():
        supplier, retailer = (finding.account(db.session(), name) for name in (account, other))
        wanted = {"kind": kind, "days": days} if kind == "delivered" else {"kind": kind}
        found = _between(supplier, retailer)
        if found.supplier_id != supplier.id:
            stop(f"“{supplier.name}” does not supply “{retailer.name}”: it is the other way round.")
        found = network_members.set_policy(db.session(), found.id, wanted)
        db.session.commit()
        showing.answer({**_partner(found), "policy": found.policy if as_json else _policy(found)}, as_json)


def _policy(row: Partnership) -> str:
    days = f" + {row.policy['days']} days" if row.policy.get("days") else ""
    return f"{row.policy.get('kind')}{days}"


@network.command("answer-time")
@finding.account_option
@click.option("--warn", type=click.IntRange(1, 720), help="Hours until he and the retailer are warned.")
@click.option(
    "--end", type=click.IntRange(0, 2160), help="Hours until silence counts as a no; 0 = it never does."
)
@click.option("--as-bridge", is_flag=True, help="The times of the bridge's settings again.")
@showing.json_option
def answer_time(account: str, warn: int | None, end: int | None, as_bridge: bool, as_json: bool) -> None:
    """Say how long a supplier who accepts by hand may take to answer. What is not named stays."""
    with opening.bridge():
        owner = finding.account(db.session(), account)
        found = of_trades.network_of(db.session(), owner.id)
        if found is None:
            stop(f"“{owner.name}” is no supplier yet.")
        own = {} if as_bridge else {"answer_warn_hours": warn, "answer_hours": end}
        kept = {
            name: value
            for name, value in found.settings.items()
            if not (as_bridge and name in {"answer_warn_hours", "answer_hours"})
        }
        found.settings = {**kept, **{name: value for name, value in own.items() if value is not None}}
        db.session.commit()
        config = current_app.config
        answer = {
            "account": owner.name,
            "warn_hours": found.settings.get(
                "answer_warn_hours", config["SHOPBRIDGE_NETWORK_ANSWER_WARN_HOURS"]
            ),
            "end_hours": found.settings.get("answer_hours", config["SHOPBRIDGE_NETWORK_ANSWER_HOURS"]),
        }
        showing.answer(answer, as_json)


@network.command("shop-moved")
@click.argument("old")
@click.argument("new")
@showing.json_option
def shop_has_moved(old: str, new: str, as_json: bool) -> None:
    """Confirm that the shop NEW is the shop OLD under another address (keys or names): it goes on with its products, orders and listings.

    For a shop that moved to a new domain and was paired again there. Only for the same shop with the same data: its products and orders must
    have the numbers that they had.
    """
    with opening.bridge():
        found = [finding.connection(db.session(), each, role="shop") for each in (old, new)]
        kept = shop_moved.confirm(db.session(), found[0].id, found[1].id)
        db.session.commit()
        for lane in ("out", "in"):
            queues.ring(lane, kept.id)
        answer = {"connection": kept.key, "name": kept.name, "url": kept.base_url, "state": kept.state}
        showing.answer(answer, as_json)


@network.command("packing-slip")
@click.option("--connection", required=True, metavar="KEY", help="The shop whose order it is (key or name).")
@click.argument("order_id")
@click.argument("file", type=click.Path(dir_okay=False, writable=True, path_type=Path))
def write_slip(connection: str, order_id: str, file: Path) -> None:
    """Write the white-label packing slip of a shop's order to a PDF file."""
    with opening.bridge():
        shop = finding.connection(db.session(), connection, role="shop")
        found = packing_slip.papers(db.session(), shop, order_id)
        file.write_bytes(slip.pdf(found.slips, made_at=datetime.now(UTC), never=found.never))
        click.echo(f"{file}: {len(found.slips)} packing slip(s).")
