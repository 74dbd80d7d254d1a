"""The network's day: two suppliers and two retailers trade through their own shops (K1-K12). The script; right and wrong is network_books.py.

A retailer's customer buys, the order is split by supplier, paid, shipped under the retailer's name, cancelled or sent back, before and after
the supplier has got his money. What may go wrong: something does not arrive in time; the books then say what is missing.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select, text

from app.commands.playground import call
from app.demo.books import Row
from app.demo.machine import Machine, pause
from app.demo.network_books import Network, TradeRow
from app.demo.people import Merchant, check_digit
from app.demo.screen import Screen

STEPS = 6
QUIET_SECONDS = 1.2  # the clock sweeps twice in it
LOOK_EVERY = 0.25
PATIENCE = 90.0  # seconds for what takes two on a quiet machine; a busy one must not end a wait too early
CUSTOMERS = ("Mia Muster", "Ole Okafor", "Zoë Zimmer", "Jörg Jäger", "Ida Ibrahim", "Łukasz Lis")

# What becomes of a retailer's order, and how many of them: (fate, full day, short day).
FATES = (
    ("tracking", 13, 2), ("parts", 6, 1), ("no tracking", 6, 1), ("number with a typing mistake", 3, 1), ("number used before", 3, 1),
    ("split", 8, 1), ("own goods too", 4, 1), ("the supplier cancels", 4, 1), ("one supplier of two cancels", 3, 1),
    ("refund a part", 3, 1), ("refund all", 2, 1), ("refund a part after payout", 3, 1), ("cancelled after payout", 2, 1),
)  # fmt: skip
SHIPPED = {
    "tracking", "split", "own goods too", "refund a part", "refund all", "refund a part after payout", "cancelled after payout",
}  # fmt: skip
SPLIT = {"split", "one supplier of two cancels"}


@dataclass(frozen=True)
class Company:
    """A merchant of the network as its profile says."""

    name: str
    street: str
    postcode: str
    city: str
    mail: str
    vat_id: str
    iban: str
    supplier: bool

    @property
    def address(self) -> dict[str, str]:
        """For the profile and for labels."""
        return {
            "company": self.name,
            "first_name": "Kim",
            "last_name": "Beispiel",
            "address_1": self.street,
            "postcode": self.postcode,
            "city": self.city,
            "country": "DE",
            "email": self.mail,
            "phone": "+49 30 901820",
        }

    @property
    def words(self) -> tuple[str, ...]:
        """What gives this company away: none of it may be on anything that a retailer's customer sees (K7)."""
        return (self.name, self.street, self.mail, self.vat_id, self.iban)


COMPANIES = (
    Company(
        "Kräuterhof Krause", "Am Krautacker 3", "99084", "Erfurt", "post@krause.example", "DE136695976", "DE89370400440532013000", True,
    ),
    Company("Porzellan Paulsen", "Kannenweg 8", "95100", "Selb", "post@paulsen.example", "DE811569869", "DE02120300000000202051", True),
    Company("Bücher Boldt", "Lesegasse 5", "50667", "Köln", "post@boldt.example", "DE129273398", "DE02500105170137075030", False),
    Company("Geschenke Gern", "Schleifenplatz 1", "20095", "Hamburg", "post@gern.example", "DE143593638", "DE02100500000054540402", False),
)  # fmt: skip


@dataclass
class Member:
    """One company with its simulated shop and its rows in the bridge."""

    company: Company
    merchant: Merchant
    account_id: int = 0
    shop_id: int = 0


@dataclass(frozen=True)
class Bought:
    """An order of a retailer's customer: its id in the retailer's shop and what will become of it."""

    retailer: int
    order: int
    fate: str


@dataclass
class Told:
    """What the day knows and the books need."""

    members: Sequence[Member]
    bought: list[Bought] = field(default_factory=list)
    products: int = 0
    not_released: dict[str, int] = field(default_factory=dict)


class NetworkDay:
    """The script. `machine` runs the bridge, the four shops and the simulated payment provider."""

    def __init__(self, machine: Machine, screen: Screen, *, short: bool, seed: int) -> None:
        self.machine, self.screen, self.short = machine, screen, short
        self.random = random.Random(seed)  # noqa: S311 - the same day again is what is wanted.
        self.members = [
            Member(company, Merchant(url, first_parcel=number * 100_000 + 1))
            for number, (company, url) in enumerate(
                zip(COMPANIES, machine.network_shops, strict=True), start=1
            )
        ]
        self.suppliers = [each for each in self.members if each.company.supplier]
        self.retailers = [each for each in self.members if not each.company.supplier]
        self.told = Told(self.members)
        self._wares: list[tuple[list[int], list[int], list[int]]] = []

    def run(self) -> Told:
        """All of it."""
        self.join()
        self.release()
        self.list_goods()
        self.customers_buy()
        self.ship()
        self.money_goes_back()
        return self.told

    # --- who takes part ------------------------------------------------------------------------------------------

    def join(self) -> None:
        """Profiles, the operator's approval, partners, the payment provider."""
        with self.screen.step("The network: two suppliers, two retailers and a payment provider join"):
            with self.machine.database() as session:
                self._keep_own_money()
                self._connect_payments(session)
                for member in self.members:
                    self._join(session, member)
                session.commit()
                self._become_partners(session)
                session.commit()
            self._wait_active()

    def _connect_payments(self, session: Any) -> None:
        from app.accounts import connect_payment

        connect_payment(
            session,
            "simulated",
            {"api_key": "sim_key", "webhook_secrets": []},
            base_url=self.machine.payments,
            allow_loopback=True,
        )

    def _keep_own_money(self) -> None:
        """The operator has money of his own at the provider: what is refunded after a payout comes out of it until the supplier has paid."""
        call("POST", f"{self.machine.payments}/_control/conduct", {"own_money": 100_000})

    def _join(self, session: Any, member: Member) -> None:
        from app import accounts
        from app.flows import network_members, products_released
        from app.models import Connection

        company = member.company
        account = accounts.create_account(session, company.name)
        code = accounts.make_pairing(session, account, "woocommerce")
        session.commit()
        bridge = self.machine.bridge
        paired = call(
            "POST", f"{member.merchant.url}/pair", {"bridge": f"http://127.0.0.1:{bridge.port}", "code": code}
        )
        key = paired["answer"]["connection_key"]
        member.account_id = account.id
        member.shop_id = session.scalars(select(Connection.id).where(Connection.key == key)).one()
        profile = {
            "supplier": company.supplier,
            "retailer": not company.supplier,
            "address": company.address,
            "vat_id": company.vat_id,
            "bank": {"iban": company.iban, "holder": company.name},
            "shipping_price": 490 if company.supplier else 0,
            "accepts_partners": company.supplier,
        }
        network_members.save_profile(session, account, profile, now=datetime.now(UTC))
        network_members.approve(session, account.id, now=datetime.now(UTC))
        products_released.look(session, account.id)

    def _become_partners(self, session: Any) -> None:
        from app.flows import network_members

        for retailer, supplier in itertools.product(self.retailers, self.suppliers):
            network_members.ask(session, retailer.account_id, supplier.account_id)

    def _wait_active(self) -> None:
        def active() -> bool:
            with self.machine.database() as session:
                mine = {"shops": [each.shop_id for each in self.members]}
                query = text("SELECT count(*) FROM connection WHERE id = ANY(:shops) AND state = 'active'")
                return bool(session.execute(query, mine).scalar() == len(self.members))

        self.until("the four shops answer", active)

    # --- goods ----------------------------------------------------------------------------------------------------

    def release(self) -> None:
        """100 products; what is missing on some of them is shown with its reason (K1, K2)."""
        with self.screen.step("The suppliers put 100 products into their shops; some cannot be released"):
            herbs, cups = goods(80 if not self.short else 24, 0), goods(20 if not self.short else 10, 80)
            _spoil(herbs)
            self.suppliers[0].merchant.add_products(herbs)
            self.suppliers[1].merchant.add_products(cups)
            self.told.products = len(herbs) + len(cups)
            self.until("every product is judged", self._all_judged)
            self.told.not_released = self._reasons()
            for code, count in sorted(self.told.not_released.items()):
                self.screen.note(f"not released: {count:3d} x {code}")

    def _all_judged(self) -> bool:
        with self.machine.database() as session:
            return bool(session.execute(text("SELECT count(*) FROM release")).scalar() >= self.told.products)

    def _reasons(self) -> dict[str, int]:
        query = text("""
            SELECT reason->>'code' AS code, count(DISTINCT product_id) AS products
            FROM release, jsonb_array_elements(reasons) AS reason WHERE state = 'not_released' GROUP BY 1
        """)
        with self.machine.database() as session:
            return {row.code: row.products for row in session.execute(query)}

    def list_goods(self) -> None:
        """Both retailers list everything that is released; Boldt sells some things of his own beside it."""
        with self.screen.step("The retailers list what is released, with their own prices"):
            for retailer in self.retailers:
                retailer.merchant.add_products([{"name": "Grußkarte", "sku": "KARTE-1", "gtin": "", "price": "2.50", "stock": 500}])  # fmt: skip
            with self.machine.database() as session:
                wanted = self._list_all(session)
                session.commit()
            self.until(f"{wanted} products are listed", lambda: self._listed() == wanted, 40.0)
            self._wares = [_wares(retailer.merchant.books()["products"]) for retailer in self.retailers]

    def _list_all(self, session: Any) -> int:
        from app.flows import catalogue
        from app.models import Connection, Release

        released = list(session.scalars(select(Release.product_id).where(Release.state == "released")))
        rule = {"kind": "plus_percent", "value": "60"}
        for retailer in self.retailers:
            shop = session.get_one(Connection, retailer.shop_id)
            catalogue.list_products(session, shop, released, rule)
        return len(released) * len(self.retailers)

    def _listed(self) -> int:
        with self.machine.database() as session:
            query = "SELECT count(*) FROM listing WHERE state = 'listed' AND shop_product_id IS NOT NULL"
            return int(session.execute(text(query)).scalar())

    # --- orders ------------------------------------------------------------------------------------------------------

    def customers_buy(self) -> None:
        """60 orders in the retailers' shops; wait until every part is in its supplier's shop."""
        many = sum(count for _, count, _ in FATES) if not self.short else sum(few for _, _, few in FATES)
        with self.screen.step(f"{many} customers buy in the retailers' shops; the orders are split and paid"):
            for fate, full, short in FATES:
                for _ in range(short if self.short else full):
                    self.told.bought.append(self._buy(fate))
            self.until("every part is in its supplier's shop", self._all_passed_on)

    def _buy(self, fate: str) -> Bought:
        number = self.random.randrange(len(self.retailers))
        shop, (herbs, cups, own) = self.retailers[number].merchant, self._wares[number]
        lines = {product: self.random.randint(1, 3) for product in self.random.sample(herbs, 2)}
        if fate in SPLIT:
            lines |= {self.random.choice(cups): 1}
        if fate == "own goods too":
            lines |= dict.fromkeys(own, 1)
        asked = [{"product_id": product, "quantity": count} for product, count in lines.items()]
        # Two parcels to the same customer may share a number; a number of another customer's parcel may not be used again.
        name = "Nora Neumann" if fate == "number used before" else self.random.choice(CUSTOMERS)
        made = call("POST", f"{shop.url}/buy", {"lines": asked, **_customer(name)})
        return Bought(number, int(made["id"]), fate)

    def _all_passed_on(self) -> bool:
        expected = sum(2 if each.fate in SPLIT else 1 for each in self.told.bought)
        return sum(len(self._network_orders(each)) for each in self.suppliers) >= expected

    def _network_orders(self, supplier: Member) -> list[Row]:
        return [
            order
            for order in supplier.merchant.books()["orders"]
            if (order["source"] or {}).get("marketplace") == "dropshipping"
        ]

    # --- parcels -----------------------------------------------------------------------------------------------------

    def ship(self) -> None:
        """Labels and parcels, with and without numbers; two kinds of cancellation."""
        with self.screen.step("The suppliers print labels and ship; some have no number, some cancel"):
            self._wait_for_no_numbers()
            used: dict[int, dict[str, str]] = {}
            for number, supplier in enumerate(self.suppliers):
                for order in self._network_orders(supplier):
                    fate = self._fate(order)
                    parcel = self._deal_with(number, supplier.merchant, order, fate)
                    if fate == "tracking" and parcel:
                        used[number] = parcel
            self.until("the retailers know every parcel", self._parcels_known)
            self._use_numbers_again(used)

    def _wait_for_no_numbers(self) -> None:
        """A parcel without a number is passed on at once, not after three hours (C3)."""
        change = text("""
            UPDATE connection SET settings = settings || '{"tracking_wait_hours": 0}' WHERE role = 'shop' AND id = ANY(:shops)
        """)
        with self.machine.database() as session:
            session.execute(change, {"shops": [each.shop_id for each in self.members]})
            session.commit()

    def _fate(self, order: Row) -> str:
        """By the retailer's order number, which stands in the source of the supplier's order."""
        found = self._by_key()[order["shopbridge"]["key"]]
        return next(each.fate for each in self.told.bought if (each.retailer, str(each.order)) == found)

    def _by_key(self) -> dict[str, tuple[int, str]]:
        """Trade key -> (retailer, his order)."""
        query = text(
            "SELECT t.key, o.shop_id, o.shop_order_id FROM trade t JOIN orders o ON o.id = t.retail_order_id"
        )
        with self.machine.database() as session:
            places = {each.shop_id: number for number, each in enumerate(self.retailers)}
            return {row.key: (places[row.shop_id], row.shop_order_id) for row in session.execute(query)}

    def _use_numbers_again(self, used: Mapping[int, Mapping[str, str]]) -> None:
        """A number that has counted for one order is typed into another one, too."""
        for number, supplier in enumerate(self.suppliers):
            for order in self._network_orders(supplier):
                if self._fate(order) == "number used before":
                    supplier.merchant.do("label", order)
                    supplier.merchant.do("complete", order, tracking=dict(used[number]))

    def _deal_with(self, supplier: int, merchant: Merchant, order: Row, fate: str) -> dict[str, str] | None:
        """What the supplier does with one order. Answers the parcel when it has one with a good number."""
        if fate == "the supplier cancels" or (fate == "one supplier of two cancels" and supplier == 1):
            merchant.do("cancel", order)
            return None
        if fate == "number used before":
            return None  # later: see _use_numbers_again
        merchant.do("label", order)
        parcel = merchant.parcel()
        if fate in SHIPPED or fate == "one supplier of two cancels":
            merchant.do("complete", order, tracking=parcel)
            return parcel
        if fate == "parts":
            line = order["line_items"][0]
            merchant.do("tracking", order, **parcel, lines=[{"id": line["id"], "quantity": 1}])
            merchant.do("complete", order, tracking=merchant.parcel())
        elif fate == "no tracking":
            merchant.do("complete", order)
        elif fate == "number with a typing mistake":
            merchant.do("complete", order, tracking={**parcel, "number": _mistyped(parcel["number"])})
        return None

    def _parcels_known(self) -> bool:
        """Every order that was shipped with a good number has it in the retailer's shop."""
        shops = [
            {str(order["id"]): order for order in each.merchant.books()["orders"]} for each in self.retailers
        ]
        return all(
            shops[each.retailer][str(each.order)]["shopbridge"]["tracking"]
            for each in self.told.bought
            if each.fate in SHIPPED | {"parts", "tracking"}
        )

    # --- money ---------------------------------------------------------------------------------------------------------

    def money_goes_back(self) -> None:
        """Refunds and cancellations before the payout, the payout, and the same after it."""
        with self.screen.step("Refunds before the payout, the payout, refunds and cancellations after it"):
            self._each("refund a part", "refund", amount="1.50", reason="Dose beschädigt")
            self._refund_all()
            self.quiet("the refunds are booked")
            self._pay_out()
            self.quiet("the suppliers are paid")
            self._each("refund a part after payout", "refund", amount="2.30", reason="Retoure")
            self._each("cancelled after payout", "cancel")
            self.quiet("everything is booked")

    def _of(self, fate: str) -> list[tuple[Merchant, Row]]:
        return [
            (supplier.merchant, order)
            for supplier in self.suppliers
            for order in self._network_orders(supplier)
            if self._fate(order) == fate
        ]

    def _each(self, fate: str, deed: str, **asked: Any) -> None:
        for merchant, order in self._of(fate):
            merchant.do(deed, order, **asked)

    def _refund_all(self) -> None:
        for merchant, order in self._of("refund all"):
            lines = [{"id": line["id"], "quantity": line["quantity"]} for line in order["line_items"]]
            merchant.do("refund", order, amount=order["total"], lines=lines, reason="Kulanz")

    def _pay_out(self) -> None:
        from app import ledger

        with self.machine.database() as session:
            for supplier in self.suppliers:
                by = ledger.Source("operator", "demo", "payout run")
                ledger.payout(session, supplier.account_id, "EUR", datetime.now(UTC), by)
            session.commit()

    # --- waiting -----------------------------------------------------------------------------------------------------

    def until(self, what: str, true: Callable[[], bool], seconds: float = PATIENCE) -> bool:
        """Look until it is true. Says so when the time is up; the books will tell what is missing."""
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                self.screen.note(f"after {seconds:.0f} s still waiting: {what}")
                return False
            pause(LOOK_EVERY)
        return True

    def quiet(self, what: str) -> None:
        """Nothing is due, nothing is in hand and nothing has come to it, at looks over a second: the clock has swept meanwhile."""
        since: list[tuple[float, int]] = []

        def still() -> bool:
            open_, total = self._work()
            if open_ or (since and since[0][1] != total):
                since.clear()
            if not open_ and not since:
                since.append((time.monotonic(), total))
            return bool(since) and time.monotonic() - since[0][0] > QUIET_SECONDS

        self.until(what, still)

    def _work(self) -> tuple[int, int]:
        """What is not worked off, and how much there ever was. The shops are asked first: what has left them then is in the database already."""
        waiting = sum(
            event["state"] in {"waiting", "sending"}
            for each in self.members
            for event in each.merchant.books()["events"]
        )
        with self.machine.database() as session:
            row = session.execute(_OPEN).one()
            return waiting + int(row.open), int(row.total)


_OPEN = text("""
    SELECT (SELECT count(*) FROM event WHERE state IN ('due', 'leased'))
         + (SELECT count(*) FROM command WHERE state IN ('due', 'leased'))
         + (SELECT count(*) FROM listing WHERE stale AND next_attempt_at <= now())
         + (SELECT count(*) FROM trade WHERE pass_on_at <= now() AND passed_on_at IS NULL AND state IN ('payment_pending', 'held')) AS open,
           (SELECT count(*) FROM event) + (SELECT count(*) FROM command) + (SELECT count(*) FROM ledger_transaction) AS total
""")


def look(machine: Machine, told: Told) -> Network:
    """Everything that the books of the day need, read from the shops, the provider and the bridge."""
    from app import ledger
    from app.extensions import db
    from app.models import Order, Trade

    members = list(told.members)
    suppliers = [each for each in members if each.company.supplier]
    retailers = [each for each in members if not each.company.supplier]
    places = {each.shop_id: number for number, each in enumerate(retailers)}
    with machine.database():
        session = db.session()
        rows = session.execute(
            select(Trade, Order.shop_id, Order.shop_order_id).join(Order, Order.id == Trade.retail_order_id)
        ).all()
        trades = [
            TradeRow(
                trade.key,
                places[int(shop or 0)],
                str(number),
                trade.state,
                asdict(ledger.money(session, trade)),
            )
            for trade, shop, number in rows
        ]
        stuck = session.execute(_STUCK).scalars().all()
        ledger_sum = ledger.totals(session).ledger_sum
        breaches = [f"invariant {each.invariant}: {each.subject}: {each.detail}" for each in ledger.breaches(session)]  # fmt: skip
    return Network(
        suppliers=[each.merchant.books() for each in suppliers],
        retailers=[each.merchant.books() for each in retailers],
        payments=call("GET", f"{machine.payments}/_control/books"),
        trades=trades,
        ledger_sum=ledger_sum,
        breaches=breaches,
        words=[each.company.words for each in suppliers],
        bought={(each.retailer, str(each.order)): each.fate for each in told.bought},
        stuck=[str(each) for each in stuck],
    )


_STUCK = text("""
    SELECT k.kind || ' for ' || t.key || ' is ' || k.state || coalesce(': ' || k.reason_code, '')
    FROM command k JOIN trade t ON k.order_id IN (t.order_id, t.retail_order_id) WHERE k.state <> 'done' ORDER BY k.id
""")


def goods(how_many: int, first: int) -> list[dict[str, Any]]:
    """Products with everything that a release needs. GTINs that begin with 20 are for use inside one house."""
    made = []
    for number in range(first, first + how_many):
        digits = f"{200_000_100_000 + number}"
        made.append({
            "name": f"Kräuterdose {number}" if first == 0 else f"Teetasse {number}",
            "sku": f"NW-{'0' if first == 0 else '1'}{number:03d}",
            "gtin": f"{digits}{check_digit(digits)}",
            "price": f"{9 + number % 7}.90",
            "dealer_price": f"{4 + number % 5}.15",
            "network_category": "food.tea" if first == 0 else "household.tableware",
            "brand": "Krautgold" if first == 0 else "Tassilo",
            "tax_rate": "7" if first == 0 else "19",
            "stock": 200,
        })  # fmt: skip
    return made


def _wares(products: Sequence[Row]) -> tuple[list[int], list[int], list[int]]:
    """Ids of what a retailer's shop sells: of the first supplier, of the second, his own."""
    names = ("Kräuterdose", "Teetasse", "Grußkarte")
    herbs, cups, own = (
        [int(each["id"]) for each in products if each["name"].startswith(name)] for name in names
    )
    return herbs, cups, own


def _spoil(wanted: Sequence[dict[str, Any]]) -> None:
    """Take something away from every fourth product, so that each reason of K1 is seen."""
    for place, product in enumerate(wanted[::4]):
        kind = place % 5
        if kind == 0:
            product["gtin"] = ""
        elif kind == 1:
            product["gtin"] = _mistyped(product["gtin"])
        elif kind == 2:
            product["dealer_price"] = None
        elif kind == 3:
            product["network_category"] = None
        else:
            product["gtin"], product["dealer_price"] = "", None


def _mistyped(digits: str) -> str:
    """Two neighbours exchanged would not always be noticed by the check digit; another last digit always is."""
    return digits[:-1] + str((int(digits[-1]) + 3) % 10)


def _customer(name: str) -> dict[str, Any]:
    first, _, last = name.partition(" ")
    place = {
        "first_name": first, "last_name": last, "company": "", "address_1": "Beispielweg 4", "address_2": "", "postcode": "10115", "city": "Berlin",
        "state": "", "country": "DE", "phone": "030 5550100",
    }  # fmt: skip
    return {"billing": {**place, "email": f"{last.lower()}@customer.example"}, "shipping": place}
