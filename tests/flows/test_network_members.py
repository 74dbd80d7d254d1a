"""K1: who may trade, with whom, and what changes when somebody changes his mind. Anna supplies, Boldt retails, Chai has no rights."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from flask import Flask
from network_world import Network
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from app import accounts, outbox
from app.errors import Invalid, Refused
from app.extensions import db
from app.flows import network_members as members
from app.models import Account, Case, Connection, Listing, Partnership, PriceGroup, Product, Profile

NOW = datetime(2026, 11, 21, 14, 2, tzinfo=UTC)
ADDRESS = {
    "company": "Anna Teekanne e.K.",
    "address_1": "Teeweg 1",
    "postcode": "20095",
    "city": "Hamburg",
    "country": "DE",
}
BANK = {"iban": "DE89 3704 0044 0532 0130 00", "bic": "", "holder": "Anna Teekanne"}
SUPPLIER: dict[str, Any] = {
    "supplier": True,
    "address": ADDRESS,
    "vat_id": "DE 136 695 976",
    "bank": BANK,
    "shipping_price": 490,
}
RETAILER: dict[str, Any] = {
    "retailer": True,
    "address": {**ADDRESS, "company": "Bücher Boldt GmbH"},
    "vat_id": "DE136695976",
}


@pytest.fixture
def anna(app: Flask, session: Session) -> Account:
    return accounts.create_account(session, "Anna's Teeladen")


@pytest.fixture
def boldt(app: Flask, session: Session) -> Account:
    return accounts.create_account(session, "Bücher Boldt")


@pytest.fixture
def chai(app: Flask, session: Session) -> Account:
    return accounts.create_account(session, "Chai GmbH")


def approved(session: Session, account: Account, told: dict[str, Any], **changes: Any) -> Profile:
    members.save_profile(session, account, {**told, **changes}, now=NOW)
    return members.approve(session, account.id, now=NOW)


@pytest.fixture
def pair(session: Session, anna: Account, boldt: Account) -> Partnership:
    """Boldt has asked Anna and waits."""
    approved(session, anna, SUPPLIER)
    approved(session, boldt, RETAILER)
    return members.ask(session, boldt.id, anna.id)


def listing(session: Session, pair: Partnership) -> Listing:
    """A product of Anna's in Boldt's shop, as last pushed."""
    theirs, _, _ = accounts.connect_standard(session, session.get_one(Account, pair.supplier_id), "Teeladen")
    shop, _, _ = accounts.connect_standard(session, session.get_one(Account, pair.retailer_id), "Buchladen")
    goods = Product(account_id=pair.supplier_id, connection_id=theirs.id, external_id="17", title="Assam")
    session.add(goods)
    session.flush()
    made = Listing(
        account_id=pair.retailer_id,
        partnership_id=pair.id,
        product_id=goods.id,
        shop_id=shop.id,
        key="k",
        stale=False,
    )
    session.add(made)
    session.flush()
    return made


def cases(session: Session, account: Account) -> list[str]:
    query = select(Case.code).where(Case.account_id == account.id, Case.state == "open").order_by(Case.id)
    return list(session.scalars(query))


# --- profiles ------------------------------------------------------------------------------------------------------------------


def test_a_saved_profile_waits_for_the_operator_and_its_numbers_are_clean(
    session: Session, anna: Account
) -> None:
    saved = members.save_profile(session, anna, SUPPLIER, now=NOW)
    assert (saved.state, saved.submitted_at, saved.vat_id) == ("submitted", NOW, "DE136695976")
    assert saved.bank == {"iban": "DE89370400440532013000", "bic": "", "holder": "Anna Teekanne"}
    assert cases(session, anna) == ["profile.submitted"]


def test_every_mistake_is_told_at_once_and_nothing_is_changed(session: Session, anna: Account) -> None:
    with pytest.raises(Invalid) as caught:
        members.save_profile(
            session,
            anna,
            {**SUPPLIER, "vat_id": "DE136695977", "address": {**ADDRESS, "postcode": "1"}, "bank": None},
            now=NOW,
        )
    found = [(each.code, each.params["field"]) for each in caught.value.params["mistakes"]]
    assert found == [
        ("postal.postcode_invalid", "address.postcode"),
        ("vat_id.check_digit_wrong", "vat_id"),
        ("profile.field_missing", "bank.iban"),
    ]
    assert caught.value.code == "postal.postcode_invalid"
    saved = members.profile_of(session, anna.id)
    assert (saved.state, saved.supplier, saved.vat_id) == ("draft", False, None)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"supplier": False}, "supplier"),
        ({"address": {}}, "address.company"),
        ({"return_address": {**ADDRESS, "company": ""}}, "return_address.company"),
        ({"vat_id": None}, "vat_id"),
        ({"bank": {"iban": "DE00", "holder": "x"}}, "bank.iban"),
        ({"currency": "JPY"}, "currency"),
    ],
)
def test_each_field_is_looked_at(
    session: Session, anna: Account, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as caught:
        members.save_profile(session, anna, {**SUPPLIER, **changes}, now=NOW)
    assert caught.value.params["field"] == field


def test_a_tax_number_replaces_the_vat_id_and_a_retailer_needs_no_bank_account(
    session: Session, boldt: Account
) -> None:
    papers = [{"kind": "tax_number", "name": "", "number": "12/345/67890", "at": None}]
    saved = members.save_profile(session, boldt, {**RETAILER, "vat_id": None, "documents": papers}, now=NOW)
    assert saved.state == "submitted"


def test_a_draft_may_be_incomplete_but_not_wrong(session: Session, anna: Account) -> None:
    saved = members.save_profile(session, anna, {"address": {"company": "Anna"}}, submit=False, now=NOW)
    assert (saved.state, saved.address["company"]) == ("draft", "Anna")
    with pytest.raises(Invalid, match="vat_id"):
        members.save_profile(session, anna, {"vat_id": "DE1"}, submit=False, now=NOW)
    assert cases(session, anna) == []


def test_what_is_not_named_stays(session: Session, anna: Account) -> None:
    members.save_profile(session, anna, SUPPLIER, now=NOW)
    saved = members.save_profile(session, anna, {"hold_minutes": 5}, now=NOW)
    assert (saved.hold_minutes, saved.shipping_price, saved.address["city"]) == (5, 490, "Hamburg")


# --- the operator's word ---------------------------------------------------------------------------------------------------------


def test_the_operator_approves_and_the_case_is_closed(session: Session, anna: Account) -> None:
    assert approved(session, anna, SUPPLIER).state == "approved"
    assert cases(session, anna) == []


def test_a_refusal_carries_its_reason_and_saving_again_submits_again(session: Session, anna: Account) -> None:
    members.save_profile(session, anna, SUPPLIER, now=NOW)
    refused = members.refuse(session, anna.id, " Bitte Handelsregister\nnennen ", now=NOW)
    assert (refused.state, refused.reason) == ("refused", "Bitte Handelsregister nennen")
    assert cases(session, anna) == ["profile.refused"]
    again = members.save_profile(session, anna, {}, now=NOW)
    assert (again.state, again.reason) == ("submitted", None)
    assert cases(session, anna) == ["profile.submitted"]


def test_an_approval_can_be_taken_back(session: Session, anna: Account) -> None:
    approved(session, anna, SUPPLIER)
    assert members.refuse(session, anna.id, "Keine Lieferungen mehr", now=NOW).state == "refused"


def test_nobody_is_decided_about_who_did_not_ask_and_a_refusal_needs_a_reason(
    session: Session, anna: Account
) -> None:
    for deed in (
        lambda: members.approve(session, anna.id, now=NOW),
        lambda: members.refuse(session, anna.id, "x", now=NOW),
    ):
        with pytest.raises(Refused, match="not_submitted"):
            deed()
    members.save_profile(session, anna, SUPPLIER, now=NOW)
    with pytest.raises(Invalid, match="reason_missing"):
        members.refuse(session, anna.id, "  ", now=NOW)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"vat_id": "ATU13585627"}, "submitted"),
        ({"address": {**ADDRESS, "company": "Anna Teekanne GmbH"}}, "submitted"),
        ({"address": {**ADDRESS, "country": "AT", "postcode": "1010", "city": "Wien"}}, "submitted"),
        ({"retailer": True}, "submitted"),
        ({"address": {**ADDRESS, "address_1": "Teeweg 2", "phone": "+49 40 1"}}, "approved"),
        ({"return_address": {**ADDRESS, "company": "Lager"}}, "approved"),
        ({"shipping_price": 590, "hold_minutes": 10, "accepts_orders": False}, "approved"),
        ({"documents": [{"kind": "identity", "name": "Pass", "number": "1", "at": None}]}, "approved"),
        ({"bank": {**BANK, "iban": "AT611904300234573201"}}, "approved"),
        ({}, "approved"),
    ],
)
def test_only_who_somebody_is_needs_a_new_word_of_the_operator(
    session: Session, anna: Account, changes: dict[str, Any], state: str
) -> None:
    approved(session, anna, SUPPLIER)
    assert members.save_profile(session, anna, changes, now=NOW).state == state


def test_a_new_bank_account_sells_on_but_is_not_paid_until_the_operator_has_looked(
    session: Session, anna: Account
) -> None:
    approved(session, anna, SUPPLIER)
    changed = members.save_profile(session, anna, {"bank": {**BANK, "iban": "AT611904300234573201"}}, now=NOW)
    assert (changed.state, changed.payout_blocked) == ("approved", True)
    assert cases(session, anna) == ["profile.bank_changed"]
    seen = members.approve(session, anna.id, now=NOW)
    assert (seen.state, seen.payout_blocked, cases(session, anna)) == ("approved", False, [])


def test_a_block_for_another_reason_is_not_lifted_by_an_approval(session: Session, anna: Account) -> None:
    members.save_profile(session, anna, SUPPLIER, now=NOW).payout_blocked = True
    assert members.approve(session, anna.id, now=NOW).payout_blocked is True


def test_a_change_of_the_profile_marks_the_listings_of_the_pair(
    session: Session, pair: Partnership, anna: Account
) -> None:
    made = listing(session, pair)
    members.save_profile(session, anna, {"vat_id": "ATU13585627"}, now=NOW)
    session.refresh(made)
    assert made.stale
    assert made.shop_id in outbox.given_work(session)


# --- the supplier's connection -----------------------------------------------------------------------------------------------------


def networks(session: Session) -> list[Connection]:
    return list(session.scalars(select(Connection).where(Connection.role == "network")))


def test_a_supplier_gets_one_connection_of_the_network_with_his_only_shop(
    session: Session, anna: Account
) -> None:
    shop, _, _ = accounts.connect_standard(session, anna, "Teeladen")
    for _ in range(2):
        members.save_profile(session, anna, SUPPLIER, now=NOW)
    (made,) = networks(session)
    assert (made.account_id, made.provider, made.state, made.shop_id) == (
        anna.id,
        "dropshipping",
        "active",
        shop.id,
    )


def test_a_shop_that_connects_later_is_adopted(session: Session, anna: Account, chai: Account) -> None:
    members.save_profile(session, anna, SUPPLIER, now=NOW)
    accounts.connect_standard(session, chai, "Fremd")
    assert networks(session)[0].shop_id is None
    shop, _, _ = accounts.connect_standard(session, anna, "Teeladen")
    session.expire_all()
    assert networks(session)[0].shop_id == shop.id


def test_with_two_shops_a_person_decides(session: Session, anna: Account) -> None:
    for name in ("Laden", "Lager"):
        accounts.connect_standard(session, anna, name)
    members.save_profile(session, anna, SUPPLIER, now=NOW)
    assert networks(session)[0].shop_id is None


def test_a_retailer_needs_no_connection_of_the_network(session: Session, boldt: Account) -> None:
    members.save_profile(session, boldt, RETAILER, now=NOW)
    assert networks(session) == []


# --- partnerships ----------------------------------------------------------------------------------------------------------------------


def test_a_retailer_asks_and_the_supplier_sees_a_case_until_he_answers(
    session: Session, pair: Partnership, anna: Account
) -> None:
    assert pair.state == "asked"
    assert cases(session, anna) == ["partnership.asked"]
    assert session.scalars(select(Case.params).where(Case.code == "partnership.asked")).one() == {
        "name": "Bücher Boldt GmbH"
    }
    assert members.act(session, anna.id, pair.id, "accept").state == "active"
    assert cases(session, anna) == []


def test_asking_twice_is_asking_once(
    session: Session, pair: Partnership, boldt: Account, anna: Account
) -> None:
    assert members.ask(session, boldt.id, anna.id).id == pair.id
    assert session.scalar(select(func.count()).select_from(Partnership)) == 1


def test_a_supplier_may_take_everybody(session: Session, anna: Account, boldt: Account) -> None:
    approved(session, anna, SUPPLIER, accepts_partners=True)
    approved(session, boldt, RETAILER)
    assert members.ask(session, boldt.id, anna.id).state == "active"
    assert cases(session, anna) == []


def test_who_waits_comes_in_when_the_supplier_opens_his_door(
    session: Session, pair: Partnership, anna: Account
) -> None:
    members.save_profile(session, anna, {"accepts_partners": True}, now=NOW)
    session.refresh(pair)
    assert (pair.state, cases(session, anna)) == ("active", [])


def test_only_approved_retailers_ask_and_only_approved_suppliers_are_asked(
    session: Session, anna: Account, boldt: Account, chai: Account
) -> None:
    approved(session, anna, SUPPLIER)
    for asker in (boldt, chai, anna):
        with pytest.raises(Refused, match="not_approved"):
            members.ask(session, asker.id, anna.id)
    approved(session, boldt, {**RETAILER, "supplier": True, "bank": BANK})
    members.save_profile(session, chai, SUPPLIER, now=NOW)
    for asked in (chai.id, boldt.id, 999):
        with pytest.raises(Refused, match=r"partnership\.unknown"):
            members.ask(session, boldt.id, asked)


def test_a_stranger_cannot_touch_a_partnership(session: Session, pair: Partnership, chai: Account) -> None:
    for action in members.ACTIONS:
        with pytest.raises(Refused, match=r"partnership\.unknown"):
            members.act(session, chai.id, pair.id, action)
    with pytest.raises(Refused, match=r"partnership\.unknown"):
        members.give_group(session, chai.id, pair.id, None)


STATES = ("asked", "active", "paused", "refused", "ended")


@pytest.mark.parametrize(
    ("state", "side", "action"), list(product(STATES, ("retailer", "supplier"), members.ACTIONS))
)
def test_every_action_in_every_state_follows_the_table(
    session: Session, pair: Partnership, state: str, side: Any, action: str
) -> None:
    pair.state = state
    session.flush()
    account_id = pair.supplier_id if side == "supplier" else pair.retailer_id
    after = members.MOVES.get((state, side, action))
    if after is None:
        with pytest.raises(Refused, match=r"partnership\.not_possible"):
            members.act(session, account_id, pair.id, action)
    else:
        assert members.act(session, account_id, pair.id, action).state == after


def test_the_table_lets_nobody_in_but_the_supplier() -> None:
    """Read by hand: an active partnership begins only by the supplier's yes (or goes on after a pause)."""
    begins = {
        (before, side, action)
        for (before, side, action), after in members.MOVES.items()
        if after == "active" != before
    }
    assert begins == {
        ("asked", "supplier", "accept"),
        ("refused", "supplier", "accept"),
        ("paused", "supplier", "resume"),
        ("paused", "retailer", "resume"),
    }


def test_who_paused_must_resume(session: Session, pair: Partnership, anna: Account, boldt: Account) -> None:
    members.act(session, anna.id, pair.id, "accept")
    members.act(session, anna.id, pair.id, "pause")
    members.act(session, boldt.id, pair.id, "pause")
    with pytest.raises(Refused, match="paused_by_other"):
        members.act(session, boldt.id, pair.id, "resume")
    assert members.act(session, anna.id, pair.id, "resume").state == "active"
    members.act(session, boldt.id, pair.id, "pause")
    with pytest.raises(Refused, match="paused_by_other"):
        members.act(session, anna.id, pair.id, "resume")
    members.act(session, anna.id, pair.id, "pause")
    with pytest.raises(Refused, match="paused_by_other"):
        members.act(session, boldt.id, pair.id, "resume")


def test_who_was_refused_or_thrown_out_does_not_come_in_by_asking_again(
    session: Session, pair: Partnership, anna: Account, boldt: Account
) -> None:
    members.act(session, anna.id, pair.id, "refuse")
    with pytest.raises(Refused, match="not_possible"):
        members.ask(session, boldt.id, anna.id)
    members.act(session, anna.id, pair.id, "accept")
    members.act(session, anna.id, pair.id, "end")
    session.execute(update(Profile).where(Profile.account_id == anna.id).values(accepts_partners=True))
    session.expire_all()
    assert members.ask(session, boldt.id, anna.id).state == "asked"


@pytest.mark.parametrize("action", ["pause", "end"])
def test_every_change_of_a_partnership_marks_its_listings(
    session: Session, pair: Partnership, action: str
) -> None:
    members.act(session, pair.supplier_id, pair.id, "accept")
    made = listing(session, pair)
    members.act(session, pair.supplier_id, pair.id, action)
    session.refresh(made)
    assert made.stale


def test_a_repeat_marks_nothing(session: Session, pair: Partnership) -> None:
    members.act(session, pair.supplier_id, pair.id, "accept")
    made = listing(session, pair)
    members.act(session, pair.supplier_id, pair.id, "accept")
    session.refresh(made)
    assert not made.stale


def test_ten_retailers_threads_asking_at_once_make_one_partnership(
    app: Flask, session: Session, anna: Account, boldt: Account
) -> None:
    approved(session, anna, SUPPLIER)
    approved(session, boldt, RETAILER)
    session.commit()
    ids = (boldt.id, anna.id)

    def ask(_: int) -> int:
        with app.app_context():
            made = members.ask(db.session(), *ids).id
            db.session.commit()
            db.session.remove()
            return made

    with ThreadPoolExecutor(10) as pool:
        assert len(set(pool.map(ask, range(10)))) == 1
    assert session.scalar(select(func.count()).select_from(Partnership)) == 1


# --- price groups ----------------------------------------------------------------------------------------------------------------------


def test_groups_are_set_as_a_whole_and_a_gone_one_leaves_its_members_without(
    session: Session, pair: Partnership, anna: Account
) -> None:
    members.set_groups(session, anna.id, [("Gold", 1000), ("Silber", 500)])
    members.give_group(session, anna.id, pair.id, "Gold")
    members.set_groups(session, anna.id, [("Silber", 750)])
    session.expire_all()
    assert [(each.name, each.discount_bp) for each in session.scalars(select(PriceGroup))] == [
        ("Silber", 750)
    ]
    assert session.get_one(Partnership, pair.id).price_group_id is None


@pytest.mark.parametrize("groups", [[("A", -1)], [("A", 10_001)], [("", 5)], [("A", 1), ("A", 2)]])
def test_wrong_groups_are_refused(session: Session, anna: Account, groups: list[tuple[str, int]]) -> None:
    with pytest.raises(Invalid, match="group_wrong"):
        members.set_groups(session, anna.id, groups)


def test_only_the_supplier_gives_his_own_groups(
    session: Session, pair: Partnership, anna: Account, boldt: Account, chai: Account
) -> None:
    members.set_groups(session, chai.id, [("Gold", 1000)])
    with pytest.raises(Refused, match="group_unknown"):
        members.give_group(session, anna.id, pair.id, "Gold")
    members.set_groups(session, anna.id, [("Gold", 1000)])
    with pytest.raises(Refused, match="not_possible"):
        members.give_group(session, boldt.id, pair.id, "Gold")
    made = listing(session, pair)
    members.give_group(session, anna.id, pair.id, "Gold")
    session.refresh(made)
    assert made.stale, "the price may depend on it"


def test_suppliers_are_shown_with_what_they_have_released(
    session: Session, pair: Partnership, anna: Account, boldt: Account, chai: Account
) -> None:
    made = listing(session, pair)
    session.execute(
        text(
            "INSERT INTO release (product_id, account_id, state, reasons, told) VALUES (:p, :a, 'released', '[]', false)"
        ),
        {"p": made.product_id, "a": anna.id},
    )
    members.save_profile(session, chai, SUPPLIER, now=NOW)
    assert members.suppliers(session, boldt.id) == [(anna.id, "Anna Teekanne e.K.", 1)]
    assert members.suppliers(session, anna.id) == []


# --- what the operator has looked at -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"bank": {**BANK, "iban": "AT611904300234573201"}},
        {"address": {**ADDRESS, "company": "Anders GmbH"}},
        {"documents": [{"kind": "identity", "name": "Pass", "number": "1", "at": None}]},
    ],
)
def test_what_was_submitted_anew_is_not_approved_unseen(
    session: Session, anna: Account, changed: dict[str, Any]
) -> None:
    members.save_profile(session, anna, SUPPLIER, now=NOW)
    members.save_profile(session, anna, changed, now=NOW + timedelta(minutes=1))
    with pytest.raises(Refused, match=r"profile\.changed_meanwhile"):
        members.approve(session, anna.id, now=NOW, submitted_at=NOW)
    assert session.get_one(Profile, anna.id).state == "submitted"
    seen = NOW + timedelta(minutes=1)
    assert members.approve(session, anna.id, now=NOW, submitted_at=seen).state == "approved"


def test_saving_the_same_once_more_changes_nothing_for_the_operator(session: Session, anna: Account) -> None:
    members.save_profile(session, anna, SUPPLIER, now=NOW)
    members.save_profile(session, anna, SUPPLIER, now=NOW + timedelta(minutes=1))
    assert members.approve(session, anna.id, now=NOW, submitted_at=NOW).state == "approved"


def test_another_bank_account_after_the_approval_is_not_confirmed_unseen(
    session: Session, anna: Account
) -> None:
    approved(session, anna, SUPPLIER)
    for minute, iban in ((1, "AT611904300234573201"), (2, "DE02120300000000202051")):
        members.save_profile(
            session, anna, {"bank": {**BANK, "iban": iban}}, now=NOW + timedelta(minutes=minute)
        )
    with pytest.raises(Refused, match=r"profile\.changed_meanwhile"):
        members.approve(session, anna.id, now=NOW, submitted_at=NOW + timedelta(minutes=1))
    assert session.get_one(Profile, anna.id).payout_blocked


# --- leaving -----------------------------------------------------------------------------------------------------------------


def test_who_leaves_ends_his_partnerships_and_may_come_back(
    session: Session, anna: Account, boldt: Account, chai: Account
) -> None:
    approved(session, anna, SUPPLIER)
    approved(session, boldt, RETAILER)
    approved(session, chai, RETAILER)
    active = members.ask(session, boldt.id, anna.id)
    members.act(session, anna.id, active.id, "accept")
    asked = members.ask(session, chai.id, anna.id)
    left = members.withdraw(session, anna.id)
    assert (left.state, left.submitted_at) == ("draft", None)
    assert [(each.state, each.reason) for each in (active, asked)] == [("ended", "supplier")] * 2
    assert session.scalars(select(Case).where(Case.account_id == anna.id, Case.state == "open")).all() == []
    with pytest.raises(Refused, match=r"profile\.not_submitted"):
        members.withdraw(session, anna.id)
    members.save_profile(session, anna, {}, now=NOW)
    members.approve(session, anna.id, now=NOW)
    assert members.ask(session, chai.id, anna.id).state == "asked"


def test_nobody_leaves_while_his_money_is_open(network: Network) -> None:
    listed = network.listing(network.boldt, network.product(network.anna, "TEE-001", "4006381333931"))
    network.boldt.buys((listed, 1))
    network.work()
    for each in (network.anna, network.boldt):
        refused(network, each.account.id, trades=1, balances=1)
    tracking = {"number": "00340434161094015902", "carrier": "DHL"}
    network.anna.does("complete", network.anna.child().id, tracking=tracking)
    network.work()
    refused(network, network.anna.account.id, trades=0, balances=1)
    assert members.withdraw(network.session, network.boldt.account.id).state == "draft"


def refused(network: Network, account_id: int, **params: int) -> None:
    with pytest.raises(Refused) as caught:
        members.withdraw(network.session, account_id)
    network.session.rollback()
    assert (caught.value.code, caught.value.params) == ("profile.still_open", params)
