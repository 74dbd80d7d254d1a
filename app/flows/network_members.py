"""Who takes part in the dropshipping network and who trades with whom: profiles, the operator's word, partnerships, price groups (K1).

What may go wrong: wrong data (each mistake names its field), somebody who may not do what he asks, two people who decide at the same moment
(the rows are locked). A change marks the listings it touches as stale and notes their shops (outbox.given_work, for the door to ring); what is released
is decided anew by products_released, which the clock calls when a profile has changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Select, and_, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import accounts, messages, registry, reservations
from app.errors import Invalid, Refused
from app.models import (
    Account,
    Case,
    Connection,
    LedgerAccount,
    Listing,
    Partnership,
    PriceGroup,
    Profile,
    Release,
    Trade,
)
from app.models.columns import table_of
from app.rules import address, bank, release_policy, vat_id
from app.story import close_case, open_case

Side = Literal["retailer", "supplier"]

DOCUMENTS = ("tax_number", "trade_register", "business_registration", "identity", "certificate", "other")
"""Kinds of documents. A `tax_number` replaces the VAT id of those who have none (small businesses)."""

MAX_DOCUMENTS = 20
MAX_GROUPS = 100

# --- profiles ----------------------------------------------------------------------------------------------------------------

_PLAIN = (
    "supplier", "retailer", "currency", "accepts_partners", "accepts_orders", "shipping_price", "shipping_free_from",
    "hold_minutes", "documents",
)  # fmt: skip


def profile_of(session: Session, account_id: int) -> Profile:
    """The account's profile, locked. A merchant without one has an empty draft, which is made now."""
    session.execute(insert(table_of(Profile)).values(account_id=account_id).on_conflict_do_nothing())
    query = select(Profile).where(Profile.account_id == account_id).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).one()


def save_profile(
    session: Session, account: Account, told: Mapping[str, Any], *, submit: bool = True, now: datetime
) -> Profile:
    """Change what `told` names (amounts in minor units, addresses as the fields of messages.Address) and hand the profile to the operator.

    `submit` False keeps a draft that may be incomplete. Raises Invalid with the first mistake; params["mistakes"] has all of them as
    app.messages.Reason with a `field`. Nothing is changed then. What a change after approval means: see `_after_change`.
    """
    profile = profile_of(session, account.id)
    before, old_state, shown = _identity(profile), profile.state, _shown_to_operator(profile)
    old_bank, opened = profile.bank, profile.accepts_partners
    wanted = _wanted(profile, told)
    found = mistakes(wanted)
    if not submit and profile.state != "approved":
        found = [each for each in found if each.code not in {"profile.field_missing", "profile.role_missing"}]
    if found:
        raise Invalid(found[0].code, **found[0].params, mistakes=tuple(found))
    for name, value in wanted.items():
        setattr(profile, name, value)
    if old_state == "submitted" and shown != _shown_to_operator(profile):
        profile.submitted_at = now  # what he has looked at is not what he would approve
    if submit or profile.state == "approved":
        _after_change(session, profile, same=before == _identity(profile), old_bank=old_bank, now=now)
    session.flush()
    if profile.accepts_partners and not opened and profile.state == "approved":
        _accept_all(session, account.id)
    if profile.supplier:
        ensure_network_connection(session, account)
    if profile.state != old_state:
        _mark_all(session, account.id)
    return profile


def mistakes(wanted: Mapping[str, Any]) -> list[messages.Reason]:
    """Everything that is wrong or missing in the values of a profile; empty = it can be submitted."""
    found: list[messages.Reason] = []
    if not (wanted["supplier"] or wanted["retailer"]):
        found.append(messages.Reason("profile.role_missing", {"field": "supplier"}))
    found += address.mistakes(messages.Address(**(wanted["address"] or {})), "address")
    if wanted["return_address"]:
        found += address.mistakes(messages.Address(**wanted["return_address"]), "return_address")
    found += _tax_mistakes(wanted) + _bank_mistakes(wanted) + _condition_mistakes(wanted)
    return found


def _wanted(profile: Profile, told: Mapping[str, Any]) -> dict[str, Any]:
    """The values the profile would have, cleaned."""
    wanted = {name: told.get(name, getattr(profile, name)) for name in _PLAIN}
    for name in ("address", "return_address"):
        given = told.get(name, getattr(profile, name))
        wanted[name] = asdict(address.cleaned(messages.Address(**given))) if given else None
    wanted["address"] = wanted["address"] or {}
    number = told.get("vat_id", profile.vat_id)
    wanted["vat_id"] = vat_id.clean(number) or None if number else None
    account = told.get("bank", profile.bank)
    wanted["bank"] = _clean_bank(account) if account else None
    return wanted


def _clean_bank(account: Mapping[str, Any]) -> dict[str, str]:
    told = {name: str(account.get(name) or "") for name in ("iban", "bic", "holder")}
    holder = " ".join(told["holder"].split())
    return {"iban": bank.clean(told["iban"]), "bic": bank.clean(told["bic"]), "holder": holder}


def _tax_mistakes(wanted: Mapping[str, Any]) -> list[messages.Reason]:
    """A VAT id, or the tax number of somebody who has none."""
    if wanted["vat_id"]:
        wrong = vat_id.mistake(wanted["vat_id"])
        return [wrong] if wrong else []
    if any(each.get("kind") == "tax_number" and each.get("number") for each in wanted["documents"]):
        return []
    return [messages.Reason("profile.field_missing", {"field": "vat_id"})]


def _bank_mistakes(wanted: Mapping[str, Any]) -> list[messages.Reason]:
    """A supplier is paid, so he needs one; a retailer may leave it out."""
    if wanted["bank"]:
        return bank.mistakes(wanted["bank"]["iban"], wanted["bank"]["bic"], wanted["bank"]["holder"])
    return [messages.Reason("profile.field_missing", {"field": "bank.iban"})] if wanted["supplier"] else []


def _condition_mistakes(wanted: Mapping[str, Any]) -> list[messages.Reason]:
    offered = tuple(registry.provider("dropshipping").currencies)
    if wanted["currency"] not in offered:
        return [messages.Reason("profile.currency_unknown", {"field": "currency", "expected": offered})]
    return []


def _identity(profile: Profile) -> tuple[Any, ...]:
    """What the operator has approved: who it is (company, country, VAT id) and as what he takes part."""
    told = profile.address or {}
    roles = (profile.supplier, profile.retailer)
    return (told.get("company"), told.get("country"), profile.vat_id, roles)


def _shown_to_operator(profile: Profile) -> tuple[Any, ...]:
    """Everything on which he founds his word."""
    told = (profile.address, profile.return_address, profile.bank, profile.documents)
    return (*_identity(profile), *told)


def _after_change(
    session: Session, profile: Profile, *, same: bool, old_bank: Mapping[str, Any] | None, now: datetime
) -> None:
    """What a change means for the operator's word.

    Another company, country, VAT id or role: submitted again; until he has looked nothing of it is released (K1). Another bank account: the
    goods stay on sale, but nothing is paid out until he has approved again, because that is what somebody with stolen access would change.
    A new street, telephone, shipping price or document changes nothing.
    """
    if profile.state == "approved" and same:
        if profile.bank != old_bank and old_bank:
            profile.payout_blocked, profile.submitted_at = True, now
            _case(session, profile, "profile.bank_changed")
        return
    if profile.state != "submitted":
        profile.state, profile.submitted_at, profile.reason = "submitted", now, None
    close_case(session, account_id=profile.account_id, subject="profile", code="profile.refused")
    _case(session, profile, "profile.submitted")


def _case(session: Session, profile: Profile, code: str, **params: Any) -> None:
    open_case(session, account_id=profile.account_id, subject="profile", code=code, params=params)


# --- the operator's word --------------------------------------------------------------------------------------------------------


def approve(
    session: Session, account_id: int, *, now: datetime, submitted_at: datetime | None = None
) -> Profile:
    """The operator says yes: to a submitted profile, or to a new bank account.

    `submitted_at` of what he has looked at (to the second); None = whatever is there now. Raises Refused: profile.not_submitted,
    profile.changed_meanwhile; Invalid as save_profile.
    """
    profile = profile_of(session, account_id)
    if submitted_at is not None and not _same_second(profile.submitted_at, submitted_at):
        raise Refused("profile.changed_meanwhile")
    bank_changed = _has_case(session, account_id, "profile.bank_changed")
    if profile.state != "submitted" and not bank_changed:
        raise Refused("profile.not_submitted", state=profile.state)
    found = mistakes(_wanted(profile, {}))
    if found:
        raise Invalid(found[0].code, **found[0].params, mistakes=tuple(found))
    if bank_changed:
        profile.payout_blocked = False
    profile.state, profile.reason, profile.decided_at = "approved", None, now
    close_case(session, account_id=account_id, subject="profile")
    session.flush()
    _mark_all(session, account_id)
    return profile


def refuse(session: Session, account_id: int, reason: str, *, now: datetime) -> Profile:
    """The operator says no, and why; also later, to one that he had approved. Raises Refused("profile.not_submitted"), Invalid without a reason."""
    profile = profile_of(session, account_id)
    told = " ".join(reason.split())
    if not told:
        raise Invalid("profile.reason_missing", field="reason")
    if profile.state not in {"submitted", "approved"}:
        raise Refused("profile.not_submitted", state=profile.state)
    profile.state, profile.reason, profile.decided_at = "refused", told[:500], now
    close_case(session, account_id=account_id, subject="profile")
    _case(session, profile, "profile.refused", reason=profile.reason)
    session.flush()
    _mark_all(session, account_id)
    return profile


def _same_second(one: datetime | None, two: datetime) -> bool:
    """Pages and command lines show whole seconds."""
    return one is not None and one.replace(microsecond=0) == two.replace(microsecond=0)


# --- leaving --------------------------------------------------------------------------------------------------------------------

_HIS_OWN = ("payable", "receivable", "payout_in_transit", "recovery_in_transit")
_OF_A_TRADE = ("escrow", "dispute_hold", "refund_in_transit")
_UNDER_WAY = ("received", "payment_pending", "held", "accepted", "part_shipped")


def withdraw(session: Session, account_id: int) -> Profile:
    """A member leaves: every partnership of his ends, and his profile is a draft again that may be submitted anew.

    Raises Refused("profile.still_open") while an order of his is under way or money of his is not settled, and Refused("profile.not_submitted")
    where there is nothing to withdraw. Returns of what was sold go on as before.
    """
    profile = profile_of(session, account_id)
    if profile.state == "draft":
        raise Refused("profile.not_submitted", state=profile.state)
    trades, balances = _unfinished(session, account_id)
    if trades or balances:
        raise Refused("profile.still_open", trades=trades, balances=balances)
    either = or_(Partnership.supplier_id == account_id, Partnership.retailer_id == account_id)
    open_ones = select(Partnership).where(either, Partnership.state.in_(("asked", "active", "paused")))
    for found in session.scalars(open_ones.order_by(Partnership.id).with_for_update()).all():
        # Also what he was only asked: "refused" would keep the retailer from asking again when he comes back.
        found.reason = "supplier" if found.supplier_id == account_id else "retailer"
        found.state, found.changed_at = "ended", datetime.now(UTC)
        _tell_supplier(session, found)
    profile.state, profile.reason, profile.submitted_at = "draft", None, None
    close_case(session, account_id=account_id, subject="profile")
    session.flush()
    _mark_all(session, account_id)
    return profile


def _unfinished(session: Session, account_id: int) -> tuple[int, int]:
    """How many orders of a member are under way, and how many balances of his are not zero."""
    mine = or_(Trade.supplier_id == account_id, Trade.retailer_id == account_id)
    under_way = select(func.count()).where(mine, or_(Trade.state.in_(_UNDER_WAY), Trade.frozen))
    his = and_(LedgerAccount.owner_id == account_id, LedgerAccount.kind.in_(_HIS_OWN))
    of_trades = and_(
        LedgerAccount.trade_id.in_(select(Trade.id).where(mine)), LedgerAccount.kind.in_(_OF_A_TRADE)
    )
    money = select(func.count()).where(LedgerAccount.balance != 0, or_(his, of_trades))
    return int(session.scalar(under_way) or 0), int(session.scalar(money) or 0)


def _has_case(session: Session, account_id: int, code: str) -> bool:
    found = select(Case.id).where(
        Case.account_id == account_id, Case.subject == "profile", Case.code == code, Case.state == "open"
    )
    return bool(session.scalar(select(found.exists())))


def ensure_network_connection(session: Session, account: Account) -> Connection:
    """The connection by which a supplier's orders of the network come; made once. Its shop is the account's only one, or the first that connects."""
    session.execute(select(Account.id).where(Account.id == account.id).with_for_update())
    found = session.scalar(
        select(Connection).where(
            Connection.account_id == account.id,
            Connection.role == "network",
            Connection.provider == "dropshipping",
        )
    )
    if found is None:
        found = Connection(
            account_id=account.id,
            key=accounts.new_key(),
            provider="dropshipping",
            role="network",
            name=accounts.free_name(session, account.id, registry.provider("dropshipping").name),
            state="active",
            settings={},
            secrets={},
        )
        session.add(found)
    if found.shop_id is None:
        found.shop_id = accounts.only_shop(session, account.id)
    session.flush()
    return found


# --- partnerships ------------------------------------------------------------------------------------------------------------------

# (state, who acts, what he does) -> the state after it. What is not here is refused; the same state again is a repeat and does nothing.
MOVES: Mapping[tuple[str, Side, str], str] = {
    ("asked", "retailer", "ask"): "asked",
    ("active", "retailer", "ask"): "active",
    ("ended", "retailer", "ask"): "asked",
    ("asked", "supplier", "accept"): "active",
    ("refused", "supplier", "accept"): "active",
    ("active", "supplier", "accept"): "active",
    ("asked", "supplier", "refuse"): "refused",
    ("refused", "supplier", "refuse"): "refused",
    ("active", "supplier", "pause"): "paused",
    ("active", "retailer", "pause"): "paused",
    ("paused", "supplier", "pause"): "paused",
    ("paused", "retailer", "pause"): "paused",
    ("paused", "supplier", "resume"): "active",
    ("paused", "retailer", "resume"): "active",
    ("active", "supplier", "resume"): "active",
    ("active", "retailer", "resume"): "active",
    ("asked", "retailer", "end"): "ended",
    ("active", "supplier", "end"): "ended",
    ("active", "retailer", "end"): "ended",
    ("paused", "supplier", "end"): "ended",
    ("paused", "retailer", "end"): "ended",
    ("ended", "supplier", "end"): "ended",
    ("ended", "retailer", "end"): "ended",
}
ACTIONS = ("ask", "accept", "refuse", "pause", "resume", "end")


def ask(session: Session, retailer_id: int, supplier_id: int) -> Partnership:
    """A retailer asks a supplier. Active at once where the supplier takes everybody, unless there was an end or a refusal before.

    Raises Refused: profile.not_approved (the retailer's own), partnership.unknown (no approved supplier of this id, or he himself),
    partnership.not_possible (refused before).
    """
    mine = session.get(Profile, retailer_id)
    if mine is None or mine.state != "approved" or not mine.retailer:
        raise Refused("profile.not_approved")
    theirs = session.get(Profile, supplier_id)
    if theirs is None or theirs.state != "approved" or not theirs.supplier or supplier_id == retailer_id:
        raise Refused("partnership.unknown")
    values = {"retailer_id": retailer_id, "supplier_id": supplier_id}
    made = session.execute(
        insert(table_of(Partnership))
        .values(**values, state="active" if theirs.accepts_partners else "asked", policy={"kind": "tracking"})
        .on_conflict_do_nothing()
        .returning(Partnership.id)
    ).scalar()
    found = session.scalars(select(Partnership).filter_by(**values).with_for_update()).one()
    if made is None:
        _move(session, found, "retailer", "ask")
    _tell_supplier(session, found)
    return found


def act(session: Session, account_id: int, partnership_id: int, action: str) -> Partnership:
    """One side asks again, accepts, refuses, pauses, resumes or ends. Raises Refused: partnership.unknown (not his), partnership.not_possible, partnership.paused_by_other."""
    found = _locked(session, account_id, partnership_id)
    side: Side = "supplier" if found.supplier_id == account_id else "retailer"
    if action == "ask" and side == "retailer":
        return ask(session, account_id, found.supplier_id)
    _move(session, found, side, action)
    _tell_supplier(session, found)
    return found


def give_group(session: Session, supplier_id: int, partnership_id: int, name: str | None) -> Partnership:
    """Put a retailer into one of the supplier's price groups, or out of it. Raises Refused: partnership.unknown, partnership.group_unknown."""
    found = _locked(session, supplier_id, partnership_id)
    if found.supplier_id != supplier_id:
        raise Refused("partnership.not_possible", action="price_group", state=found.state)
    group = None if name is None else _group(session, supplier_id, name)
    if name is not None and group is None:
        raise Refused("partnership.group_unknown", field="price_group")
    found.price_group_id = None if group is None else group.id
    reservations.mark_listings(session, Listing.partnership_id == found.id)
    session.flush()
    return found


def _locked(session: Session, account_id: int, partnership_id: int) -> Partnership:
    query = select(Partnership).where(
        Partnership.id == partnership_id,
        or_(Partnership.retailer_id == account_id, Partnership.supplier_id == account_id),
    )
    found = session.scalar(query.with_for_update().execution_options(populate_existing=True))
    if found is None:
        raise Refused("partnership.unknown")
    return found


def _move(session: Session, found: Partnership, side: Side, action: str) -> None:
    """`reason` remembers who paused or ended: the other side cannot take it back."""
    after = MOVES.get((found.state, side, action))
    if after is None:
        raise Refused("partnership.not_possible", action=action, state=found.state)
    if action == "resume" and found.state == "paused" and found.reason not in {None, side}:
        raise Refused("partnership.paused_by_other")
    pausing = action == "pause" and (found.state != "paused" or side == "supplier")
    if after == found.state and not pausing:
        return
    if action in {"pause", "end"}:
        found.reason = side
    else:
        found.reason = None
    found.state, found.changed_at = after, datetime.now(UTC)
    session.flush()
    reservations.mark_listings(session, Listing.partnership_id == found.id)


def _tell_supplier(session: Session, found: Partnership) -> None:
    """Somebody who waits for an answer is a case of the supplier until he has it."""
    subject = f"partnership/{found.id}"
    if found.state != "asked":
        close_case(session, account_id=found.supplier_id, subject=subject, code="partnership.asked")
        return
    name = company(session, found.retailer_id)
    open_case(
        session,
        account_id=found.supplier_id,
        subject=subject,
        code="partnership.asked",
        params={"name": name},
    )


def _accept_all(session: Session, supplier_id: int) -> None:
    """Who waits when the supplier opens his door comes in."""
    waiting = select(Partnership).where(Partnership.supplier_id == supplier_id, Partnership.state == "asked")
    for found in session.scalars(waiting.order_by(Partnership.id).with_for_update()).all():
        _move(session, found, "supplier", "accept")
        _tell_supplier(session, found)


# --- price groups -----------------------------------------------------------------------------------------------------------------


def set_groups(session: Session, supplier_id: int, groups: Sequence[tuple[str, int]]) -> None:
    """The supplier's price groups as (name, discount in basis points), all of them: who was in one that is gone pays the full dealer price.

    Raises Invalid("partnership.group_wrong") naming the place.
    """
    if len(groups) > MAX_GROUPS or len({name for name, _ in groups}) != len(groups):
        raise Invalid("partnership.group_wrong", field="price_groups")
    for place, (name, discount) in enumerate(groups):
        set_group(session, supplier_id, name, discount, field=f"price_groups.{place}")
    names = [name for name, _ in groups]
    gone = (PriceGroup.supplier_id == supplier_id) & PriceGroup.name.not_in(names)
    reservations.mark_listings(session, _of_group(gone))
    session.execute(delete(PriceGroup).where(gone))


def set_group(
    session: Session, supplier_id: int, name: str, discount: int, *, field: str = "discount"
) -> None:
    """One price group, new or changed: a discount on the gross dealer price of 0 to 10,000 basis points."""
    if not 0 <= discount <= 10_000 or not name.strip():
        raise Invalid("partnership.group_wrong", field=field)
    statement = insert(table_of(PriceGroup)).values(supplier_id=supplier_id, name=name, discount_bp=discount)
    changed = statement.on_conflict_do_update(
        index_elements=["supplier_id", "name"],
        set_={"discount_bp": discount},
        where=PriceGroup.discount_bp != discount,
    ).returning(PriceGroup.id)
    group_id = session.execute(changed).scalar()
    if group_id is not None:
        reservations.mark_listings(session, _of_group(PriceGroup.id == group_id))


def _of_group(which: Any) -> Any:
    """Listings whose retailer is in one of these price groups."""
    inside = select(Partnership.id).join(PriceGroup, PriceGroup.id == Partnership.price_group_id)
    return Listing.partnership_id.in_(inside.where(which))


# --- when the supplier's money is released -----------------------------------------------------------------------------------------


def set_policy(session: Session, partnership_id: int, policy: Mapping[str, Any]) -> Partnership:
    """The operator's word on when money of two partners is released (K11): {"kind": "tracking" | "carrier_scan"} or {"kind": "delivered", "days": n}.

    It counts for orders from now on; trades that there are keep theirs. Raises Refused("partnership.unknown"), Invalid("ledger.policy_wrong").
    """
    query = select(Partnership).where(Partnership.id == partnership_id).with_for_update()
    found = session.scalar(query.execution_options(populate_existing=True))
    if found is None:
        raise Refused("partnership.unknown")
    if isinstance(release_policy.policy_of(policy), release_policy.Nobody):
        raise Invalid("ledger.policy_wrong", field="policy", most=release_policy.MAX_DAYS)
    names = ("kind", "days") if policy["kind"] == "delivered" else ("kind",)
    found.policy = {name: policy[name] for name in names}
    session.flush()
    return found


def _group(session: Session, supplier_id: int, name: str) -> PriceGroup | None:
    return session.scalar(select(PriceGroup).filter_by(supplier_id=supplier_id, name=name))


# --- what others see ---------------------------------------------------------------------------------------------------------------


def company(session: Session, account_id: int) -> str:
    """The name by which others in the network know a member."""
    profile = session.get(Profile, account_id)
    named = str((profile.address or {}).get("company") or "") if profile is not None else ""
    return named or str(session.scalar(select(Account.name).where(Account.id == account_id)) or "")


def suppliers(session: Session, retailer_id: int) -> list[tuple[int, str, int]]:
    """Whom this retailer may ask or has asked: (account id, company, released products) of every approved supplier but himself."""
    released = _released_of(Profile.account_id)
    query = (
        select(Profile.account_id, Profile.address["company"].astext, released)
        .where(Profile.supplier, Profile.state == "approved", Profile.account_id != retailer_id)
        .order_by(Profile.account_id)
        .limit(500)
    )
    return [(row[0], row[1] or "", row[2]) for row in session.execute(query)]


def _released_of(account_id: Any) -> Any:
    counted = select(func.count()).where(Release.account_id == account_id, Release.state == "released")
    return counted.scalar_subquery()


def partnerships(account_id: int) -> Select[Any]:
    """All partnerships of an account, on either side."""
    mine = or_(Partnership.retailer_id == account_id, Partnership.supplier_id == account_id)
    return select(Partnership).where(mine).order_by(Partnership.id)


def _mark_all(session: Session, account_id: int) -> None:
    """Everything that retailers show of this account, or that it shows of others, is computed anew (K4)."""
    pair = select(Partnership.id).where(
        or_(Partnership.supplier_id == account_id, Partnership.retailer_id == account_id)
    )
    reservations.mark_listings(session, Listing.partnership_id.in_(pair))
