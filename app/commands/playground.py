"""The sandbox: simulated marketplaces and a simulated shop as processes, connected with one command, so that an order can travel at once.

What may go wrong: the simulators keep nothing when they end. After a restart of `shopbridge up`, `connect sandbox` plugs the new ones into the
old connections: numbers they give out go on from the clock, so that no order of today is taken for one of yesterday.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from typing import Any

import click

from app.commands import finding, opening, showing
from app.commands.problems import stop

GOODS = 20
UNKNOWN_THERE = 1  # so that one offer shows "needs product creation"
EPOCH = 1_763_000_000  # numbers of the simulators count seconds since then
WAIT_SECONDS = 60.0

_TEAS = (
    "Assam Hathikuli", "Darjeeling First Flush", "Ceylon Uva", "Earl Grey", "Sencha", "Genmaicha", "Jasmin", "Oolong Formosa", "Rooibos",
    "Kamille", "Pfefferminze", "Fenchel", "Früchtetee Waldbeere", "Hagebutte", "Ostfriesenmischung", "Lapsang Souchong", "Yunnan", "Matcha",
    "Weißer Tee Pai Mu Tan", "Chai Masala",
)  # fmt: skip


def goods() -> list[dict[str, Any]]:
    """20 products of the simulated shop. Their GTINs begin with 952: numbers for examples, nobody's goods (GS1)."""
    return [
        {
            "name": f"{tea}, 100 g",
            "sku": f"TEE-{number:03d}",
            "gtin": _gtin(952_000_000_000 + number),
            "price": f"{4 + number % 7}.90",
            "stock": 20,
        }
        for number, tea in enumerate(_TEAS[:GOODS], start=1)
    ]


def _gtin(twelve: int) -> str:
    return _checked(f"{twelve:012d}")


def parcel_number(order: int, prefix: int = 34043416) -> str:
    """A number as DHL gives out: two parcels never have the same one, and the marketplace refuses a repeated one."""
    return f"00{_checked(f'{prefix}{order % 10**9:09d}')}"


def _checked(digits: str) -> str:
    """With the check digit of GS1: weights 3 and 1 from the right."""
    total = sum(int(digit) * (1 if place % 2 else 3) for place, digit in enumerate(reversed(digits)))
    return f"{digits}{-total % 10}"


# --- the simulators as processes ---------------------------------------------------------------------------


@click.group()
def sandbox() -> None:
    """Simulated partners to try things with. `shopbridge up` starts both; here they can be run on their own."""


@sandbox.command()
@click.option(
    "--port", "given", multiple=True, required=True, metavar="KEY=PORT", help="Once for each marketplace."
)
def marketplaces(given: tuple[str, ...]) -> None:
    """Run simulated marketplaces on 127.0.0.1, in one process. /_control is the buyer and the customer service.

    Their catalogues know the goods of the simulated shop but one, so that one offer shows "needs product creation".
    """
    from app import sandbox as simulated

    known, number = simulated.simulators(), _now_number()
    servers = []
    for pair in given:
        key, _, port = pair.partition("=")
        if key not in known or not port.isdigit():
            stop(f"“{pair}” is no KEY=PORT. There are: {', '.join(known)}.")
        made = known[key].create_app(number)
        products = [{"gtin": each["gtin"], "title": each["name"]} for each in goods()[UNKNOWN_THERE:]]
        made.test_client().post("/_control/products", json=products)
        servers.append(_server(made, int(port)))
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    _until_term(servers[0])


@sandbox.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8092, show_default=True)
@click.option("--name", default="Anna's Teeladen", show_default=True)
def shop(port: int, name: str) -> None:
    """Run the simulated shop on 127.0.0.1, with 20 products. /_control is the merchant and the customer."""
    from app.sandbox.shop import create_app

    number = _now_number()
    made = create_app(name=name, seed=number)
    state = made.extensions["shop"]
    state.outbox._sequence = number
    for each in goods():
        state.add_product(each)
    state._last_id = number
    _serve(made, port)


@sandbox.command()
@click.option(
    "--port", "ports", type=click.IntRange(1, 65535), multiple=True, required=True, help="Once for each."
)
def network(ports: tuple[int, ...]) -> None:
    """Run empty simulated shops for the dropshipping network, one on each port, and a simulated payment provider on the last."""
    from app.sandbox.payments import create_app as payments_app
    from app.sandbox.shop import create_app

    number = _now_number()
    *shops, last = ports
    servers = [_server(payments_app(), last)]
    for place, port in enumerate(shops):
        made = create_app(name=f"Shop {port}", seed=number + place)
        made.extensions["shop"].outbox._sequence = number
        made.extensions["shop"]._last_id = number
        servers.append(_server(made, port))
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    # The sockets listen already, so whoever reads this may begin.
    for port in shops:
        click.echo(f"Simulated shop “Shop {port}”: http://127.0.0.1:{port}")
    click.echo(f"Simulated payment provider: http://127.0.0.1:{last}")
    click.echo("Ctrl-C ends them; they forget everything then.")
    _until_term(servers[0])


def _now_number() -> int:
    return int(time.time()) - EPOCH


def _serve(made: Any, port: int) -> None:
    """Until TERM. A simulator needs no gunicorn: its state is in memory, so it is one process."""
    _until_term(_server(made, port))


def _server(made: Any, port: int) -> Any:
    import logging

    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    return make_server("127.0.0.1", port, made, threaded=True)


def _until_term(server: Any) -> None:
    import signal

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


# --- using them ------------------------------------------------------------------------------------------------


@sandbox.command()
@click.option("--sku", help="What is bought; default: the first product on sale.")
@click.option("--pieces", type=click.IntRange(1, 20), default=1, show_default=True)
@click.option(
    "--marketplace", default="kaufland", show_default=True, help="Where: the key of a simulated marketplace."
)
@showing.json_option
def buy(sku: str | None, pieces: int, marketplace: str, as_json: bool) -> None:
    """Somebody buys something at a simulated marketplace."""
    url = _address(marketplace)
    offers = call("GET", f"{url}/_control/state")["offers"]
    on_sale = [each["sku"] for each in offers if each["on"] and each["stock"] >= pieces]
    found = next((each for each in on_sale if sku in {None, each}), None)
    if found is None:
        what = "Nothing is" if sku is None else f"{sku} is not"
        stop(
            f"{what} on sale there{' in this quantity' if pieces > 1 else ''}. Run `shopbridge connect sandbox --account NAME` first, or look at `shopbridge offers`."
        )
    order = call("POST", f"{url}/_control/buy", {"lines": [{"sku": found, "pieces": pieces}]})
    answer = {"order": order["order"], "sku": found, "pieces": pieces}
    if as_json:
        showing.as_json_text(answer)
    else:
        click.echo(
            f"Somebody bought {pieces} x {found} (order {order['order']}). In a few seconds: shopbridge orders"
        )


def _address(marketplace: str) -> str:
    urls = {key: url for key, url in simulators().items() if key != "shop"}
    if marketplace not in urls:
        stop(f"There is no simulated marketplace “{marketplace}”. There are: {', '.join(sorted(urls))}.")
    return urls[marketplace]


@sandbox.command()
@click.option(
    "--order", "number", type=int, help="Number in the shop; default: the oldest that is not shipped."
)
@click.option(
    "--tracking", help="Tracking number of the parcel; default: one of DHL, another for every order."
)
@click.option("--carrier", default="dhl", show_default=True)
@click.option(
    "--return-label", is_flag=True, help="Print the label for the return too: OTTO wants its number."
)
@showing.json_option
def ship(number: int | None, tracking: str | None, carrier: str, return_label: bool, as_json: bool) -> None:
    """The merchant packs an order of the simulated shop and gives the parcel away."""
    url = simulators()["shop"]
    left = [
        each["id"]
        for each in call("GET", f"{url}/_control/books")["orders"]
        if each["status"] == "processing"
    ]
    if number is None and not left:
        stop(
            "No order of the simulated shop waits to be shipped. `shopbridge sandbox buy` makes one; it takes some seconds."
        )
    number = number or min(left)
    tracking = tracking or parcel_number(number)
    if return_label:
        label = {"number": parcel_number(number, 34043417), "carrier": carrier}
        call("POST", f"{url}/_control/orders/{number}/return_label", label)
    call(
        "POST",
        f"{url}/_control/orders/{number}/complete",
        {"tracking": {"number": tracking, "carrier": carrier}},
    )
    if as_json:
        showing.as_json_text({"order": number, "tracking": tracking, "carrier": carrier})
    else:
        click.echo(f"Order {number} left with {carrier} {tracking}. In a few seconds: shopbridge orders")


@click.command("sandbox", short_help="Plug in the simulated shop and simulated marketplaces.")
@finding.account_option
@click.option(
    "--marketplace",
    "wanted",
    multiple=True,
    default=("kaufland",),
    show_default=True,
    metavar="KEY",
    help="Which marketplaces; may be repeated, “all” is every one.",
)
@showing.json_option
def connect_sandbox(account: str, wanted: tuple[str, ...], as_json: bool) -> None:
    """Plug in the simulated shop and simulated marketplaces that `shopbridge up` started, and wait until offers are on sale.

    May be repeated: nothing is doubled, and restarted simulators are plugged in again.
    """
    urls = simulators()
    keys = sorted(set(urls) - {"shop"}) if "all" in wanted else list(wanted)
    addresses = {key: _address(key) for key in keys}
    with opening.bridge() as app:
        from app.commands.connecting import public_url
        from app.extensions import db

        owner = finding.account_or_new(db.session(), account, quiet=as_json)
        made = {key: _connection(owner, key, url) for key, url in addresses.items()}
        code = _pairing_code(owner)
        db.session.commit()
        paired = call("POST", f"{urls['shop']}/_control/pair", {"bridge": public_url(app), "code": code})
        first = keys[0]
        on_sale = _wait_for_offers({key: each.id for key, each in made.items()})
        answer = {
            "account": owner.name,
            "shop": paired["answer"]["connection_key"],
            "marketplace": made[first].key,
            "products": GOODS,
            "offers_on_sale": on_sale[first],
            "marketplaces": {
                key: {"connection": each.key, "name": each.name, "offers_on_sale": on_sale[key]}
                for key, each in made.items()
            },
            "buy": _curl(addresses[first]),
            "first": first,
            **{f"{name}_url": url for name, url in urls.items()},
        }
    if as_json:
        showing.as_json_text(answer)
    else:
        _tell(answer)


def simulators() -> dict[str, str]:
    """The addresses of the running simulators."""
    bridge = opening.running()
    if bridge is None:
        stop(
            f"No bridge is running in {opening.data_folder()}. Start it in another terminal with `shopbridge up`."
        )
    if not bridge.sandbox:
        stop("The running bridge has no sandbox. Start it with `shopbridge up --sandbox`.")
    return dict(bridge.sandbox)


def _connection(owner: Any, key: str, url: str) -> Any:
    """The connection to a simulated marketplace; an old one is told to look and send again."""
    from sqlalchemy import func, select, update

    from app import accounts
    from app import sandbox as simulated
    from app.extensions import db
    from app.models import Connection, Offer, Schedule

    session, simulator = db.session(), simulated.simulators()[key]
    base_url = f"{url}{simulator.prefix}"
    query = select(Connection).where(
        Connection.account_id == owner.id, Connection.provider == key, Connection.base_url == base_url
    )
    found = session.scalar(query.order_by(Connection.id).limit(1))
    if found is None:
        name = f"{simulator.name} (sandbox)"
        found = accounts.connect_marketplace(
            session, owner, key, dict(simulator.settings), name=name, base_url=base_url, allow_loopback=True
        )
    elif not call("GET", f"{url}/_control/state")["offers"]:
        # It was started anew and knows none of the offers: they are made again.
        forgotten = {
            "external_ref": None,
            "sent": None,
            "sent_revision": 0,
            "confirmed": None,
            "confirmed_revision": 0,
            "stale": True,
            "task": None,
        }
        session.execute(
            update(Offer)
            .where(Offer.connection_id == found.id)
            .values(**forgotten, next_attempt_at=func.now())
        )
    found.state, found.reason_code, found.paused_until = "active", None, None
    # Simulators may be asked often; the real ones are asked by their own plan.
    for kind, seconds in (("orders", 2), ("changes", 3), ("returns", 5), ("drift", 60)):
        where = (Schedule.connection_id == found.id, Schedule.kind == kind)
        often = {"every": seconds, "floor": seconds, "pause": seconds}
        session.execute(update(Schedule).where(*where).values(**often, due_at=func.now()))
    return found


def _pairing_code(owner: Any) -> str:
    from app import accounts
    from app.extensions import db

    return accounts.make_pairing(db.session(), owner, "woocommerce")


def _wait_for_offers(connections: dict[str, int]) -> dict[str, int]:
    """Until all that can be on sale is, or the time is up; answers how many are, by marketplace."""
    from threading import Event

    from sqlalchemy import func, select

    from app.extensions import db
    from app.models import Offer

    count = (
        select(Offer.connection_id, func.count())
        .where(Offer.state == "on_sale")
        .group_by(Offer.connection_id)
    )
    deadline, pause = time.monotonic() + WAIT_SECONDS, Event()
    while True:
        rows = dict(db.session.execute(count).tuples().all())
        db.session.rollback()
        on_sale = {key: rows.get(number, 0) for key, number in connections.items()}
        if min(on_sale.values()) >= GOODS - UNKNOWN_THERE or time.monotonic() > deadline:
            return on_sale
        pause.wait(0.2)


def call(method: str, url: str, body: Any = None) -> Any:
    """Speak with a simulator's control, never with anybody else: its answer, or a Problem with its words."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 - as below.
        url, data=data, method=method, headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - the simulators' addresses are ours.
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        stop(f"The simulator refused ({error.code}): {error.read().decode(errors='replace')[:300]}")
    except (urllib.error.URLError, OSError) as error:
        stop(
            f"The simulator at {url.split('/_control', maxsplit=1)[0]} does not answer ({getattr(error, 'reason', error)})."
        )


def _curl(url: str) -> str:
    order = '{"lines": [{"sku": "TEE-002", "pieces": 1}]}'
    return f"curl -X POST {url}/_control/buy -H 'Content-Type: application/json' -d '{order}'"


def _tell(told: dict[str, Any]) -> None:
    click.echo(
        f"""The simulated shop is connected to “{told["account"]}”, and so are:
{_listed(told)}
{_missing(told)}

Let somebody buy something (either one):
  shopbridge sandbox buy{_at(told["first"])}
  {told["buy"]}

Watch it arrive in the shop, ship it there, and read its story:
  shopbridge orders
  shopbridge sandbox ship{" --return-label" if _wants_return_label(told["first"]) else ""}
  shopbridge order ID"""
    )


def _at(key: str) -> str:
    return "" if key == "kaufland" else f" --marketplace {key}"


def _wants_return_label(key: str) -> bool:
    from app import registry

    return registry.provider(key).capabilities.return_tracking


def _listed(told: dict[str, Any]) -> str:
    return "\n".join(
        f"  {each['name']}: {each['offers_on_sale']} of {told['products']} products are on sale there"
        for each in told["marketplaces"].values()
    )


def _missing(told: dict[str, Any]) -> str:
    missing = told["products"] - told["offers_on_sale"]
    return (
        ""
        if not missing
        else f"`shopbridge offers` says why {missing} {'is' if missing == 1 else 'are'} not."
    )
