"""Make the marketplace show what the shop has: desired state, in batches, the newest truth at the moment of sending (I4, I5, I7, I11, I13).

Many changes of one SKU are one call: whoever changes something only marks the offer `stale`; here it is computed anew and sent when it differs
from what was sent. Values are absolute, so repeating a push is harmless. What may go wrong: a batch is refused because of one offer (the
provider splits it), the marketplace rests (the offers stay due), or a worker dies (the lease ends, the offers are pushed again).
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select, text, tuple_, update
from sqlalchemy.orm import Session, undefer

from app import messages as m
from app import plan, reservations
from app.errors import ShopbridgeError
from app.models import Account, Connection, Offer, Product
from app.registry import AnswersLater, MarketplaceClient, Provider
from app.rules import offers as rules
from app.rules import pricing, product_data
from app.story import close_case, close_cases, open_case

SHOWN = ("price", "stock", "handling_days", "on", "shipping_group", "raw_state")
UNSHOWN = ("vat_percent", "product")  # of a wish: what no marketplace shows again
NOT_A_TRY = ("pace.wait", "partner.resting")  # nothing has left this machine
PARTNER_DOWN = 2  # step of the plan: when the marketplace is back after a day, an old stock must not stay on sale for another

_REVISIONS = select(Offer.id, Offer.revision)
_CLAIM = text("""
    UPDATE offer SET stale = false, lease_token = :token, lease_until = now() + make_interval(secs => :lease)
    WHERE id IN (
        SELECT id FROM offer
        WHERE connection_id = :connection AND (stale OR sent_revision < revision) AND next_attempt_at <= now()
          AND (lease_until IS NULL OR lease_until < now()) AND (external_ref IS NOT NULL) = :known
        ORDER BY next_attempt_at, id LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING id
""")

# Overtaken tasks are asked only when the newest one has ended.
_TASKS = text("""
    WITH due AS MATERIALIZED (
        SELECT DISTINCT coalesce(o.task, older) AS task FROM offer o LEFT JOIN LATERAL unnest(o.overtaken) older ON o.task IS NULL
        WHERE o.connection_id = :connection AND o.task_due_at <= now() LIMIT 50
    ), taken AS (
        UPDATE offer SET task_due_at = now() + make_interval(secs => :lease)
        WHERE connection_id = :connection AND (task IN (SELECT task FROM due) OR task IS NULL AND overtaken && ARRAY(SELECT task FROM due))
    )
    SELECT task FROM due
""")
STUCK = "offer.stuck_in_process"
STUCK_AFTER = timedelta(days=1)  # then a task that never ends is a case: an old stock may be on sale
MOST_OVERTAKEN = 20  # of one offer; what is older than these was decided long ago


def push(
    session: Session,
    marketplace: Connection,
    client: MarketplaceClient,
    provider: Provider,
    *,
    lease: int,
    scale: float,
) -> int:
    """Push one batch. Answers how many offers were taken up; 0 = nothing was due. Raises Unavailable and the like after noting them."""
    token = secrets.token_hex(8)
    can = provider.can(marketplace.settings)
    if can.numbers_offers:
        # Whoever changes a connection marks its offers afterwards: locked in the same order, nobody waits for the other in a ring.
        session.execute(select(Connection.id).where(Connection.id == marketplace.id).with_for_update())
    ids = _claim(session, marketplace, token, lease, can.offer_batch, known=True)
    few = min(can.offer_batch, can.new_offer_batch)
    ids = ids or _claim(session, marketplace, token, lease, few, known=False)
    if not ids:
        session.commit()
        return 0
    if can.numbers_offers:
        _number(session, marketplace, ids)
    wanted = _compute(session, marketplace, provider, ids)
    revisions = {row.id: row.revision for row in session.execute(_REVISIONS.where(Offer.id.in_(wanted)))}
    session.commit()
    try:
        answers = client.push_offers(list(wanted.values())) if wanted else []
    except ShopbridgeError as error:
        session.rollback()
        _again_where_lost(session, token, wanted)
        _later(session, token, ids, error, scale)
        session.commit()
        raise
    _again_where_lost(session, token, wanted)
    _write_down(session, marketplace, token, wanted, revisions, answers, scale)
    session.execute(
        update(Offer)
        .where(Offer.id.in_(ids), Offer.lease_token == token)
        .values(lease_token=None, lease_until=None)
    )
    session.commit()
    return len(ids)


def _claim(
    session: Session, marketplace: Connection, token: str, lease: int, limit: int, *, known: bool
) -> list[int]:
    """Offers that are on the marketplace already come first; new ones may take several calls each, so few of them fit into a lease."""
    found = {"token": token, "lease": lease, "connection": marketplace.id, "limit": limit, "known": known}
    return list(session.execute(_CLAIM, found).scalars())


def _number(session: Session, marketplace: Connection, ids: Sequence[int]) -> None:
    """Numbers for offers that have none yet. The counter only goes up, so no number ever means two things; its row lock keeps two workers apart."""
    query = select(Offer).where(Offer.id.in_(ids), Offer.number.is_(None)).order_by(Offer.id)
    bare = session.scalars(query).all()
    if not bare:
        return
    last = session.execute(
        update(Connection)
        .where(Connection.id == marketplace.id)
        .values(offer_numbers=Connection.offer_numbers + len(bare))
        .returning(Connection.offer_numbers)
    ).scalar_one()
    for place, offer in enumerate(bare):
        offer.number = last - len(bare) + 1 + place
    session.flush()


def _compute(
    session: Session, marketplace: Connection, provider: Provider, ids: Sequence[int]
) -> dict[int, m.OfferWanted]:
    """What each offer should show now, and those that must be sent. The row lock of the claim keeps later changes waiting until this commits."""
    can = provider.can(marketplace.settings)
    rows = session.execute(
        select(Offer, Product)
        .join(Product, Product.id == Offer.product_id)
        .where(Offer.id.in_(ids))
        .order_by(Offer.id)
        .options(*([undefer(Product.texts)] if can.creates_products else []))
    ).all()
    held = reservations.held(session, [product.id for _, product in rows])
    shop = session.get(Connection, marketplace.shop_id) if marketplace.shop_id else None
    holiday = marketplace.holiday or session.get_one(Account, marketplace.account_id).holiday
    price_rule = pricing.from_settings(marketplace.settings.get("price_rule") or {"kind": "same"})
    parents = _parents(session, [product for _, product in rows]) if can.creates_products else {}
    doubled = _doubled(session, marketplace, [product.sku for _, product in rows if product.sku])
    wanted: dict[int, m.OfferWanted] = {}
    for offer, product in rows:
        there = _may_be_there(offer)
        verdict = rules.desired(
            _product_truth(product),
            _offer_rules(marketplace, shop, provider, offer, price_rule),
            reserved=held.get(product.id, 0),
            holiday=holiday,
            on_sale_before=there,
        )
        on_sale = doubled.get(product.sku or "")
        if on_sale is not None and (offer.external_ref is None or on_sale > 1):
            reason = m.Reason("product.sku_duplicate", {"sku": product.sku, "title": product.title})
            verdict = rules.Blocked(reason, take_down=offer.external_ref is not None)
        data = _product_data(product, parents) if can.creates_products else None
        wish = _wish(offer, verdict)
        if wish is not None:
            wish |= {"vat_percent": product.vat_percent, "product": _digest(data)}
        if wish is None:
            # What cannot be sent now must not be sent as it was wished for before either.
            offer.desired, offer.sent_revision, offer.confirmed_revision = (
                None,
                offer.revision,
                offer.revision,
            )
        elif offer.desired != wish:
            offer.desired, offer.revision = wish, offer.revision + 1
        if offer.desired is None or offer.sent_revision == offer.revision:
            continue
        if not there and not offer.desired["on"]:
            offer.sent_revision = offer.confirmed_revision = (
                offer.revision
            )  # what is off and was never there needs no call
        else:
            wanted[offer.id] = m.OfferWanted(
                **{**offer.desired, "product": data},
                external_ref=offer.external_ref,
                number=offer.number,
                was=_was(offer),
            )
    return wanted


def _may_be_there(offer: Offer) -> bool:
    """On the marketplace, or on its way: an earlier push is processed there, or nobody heard what became of it. Then `off` must be told too."""
    unheard = offer.desired is not None and offer.sent_revision < offer.revision
    return offer.external_ref is not None or offer.task is not None or unheard


def _was(offer: Offer) -> m.OfferShown | None:
    """What the marketplace has confirmed, while nothing newer is on its way: only then a difference to it is all that must be sent. A new tax
    rate or new product data are in no such difference, so then everything is sent.
    """
    told, sent = offer.confirmed, offer.sent or {}
    if told is None or offer.sent_revision != offer.confirmed_revision or offer.desired is None:
        return None
    if any(sent.get(name) != offer.desired.get(name) for name in UNSHOWN):
        return None
    shown = {name: told.get(name) for name in SHOWN}
    if offer.confirmed_revision < offer.counted_revision:
        shown["stock"] = None
    return m.OfferShown(offer.desired["sku"], offer.external_ref, **shown)


def _parents(session: Session, products: Sequence[Product]) -> dict[tuple[int, str], Product]:
    """(shop, its id) -> the product that variations belong to, as far as the shop has told of it."""
    wanted = {(each.connection_id, each.parent_external_id) for each in products if each.parent_external_id}
    if not wanted:
        return {}
    found = session.scalars(
        select(Product)
        .where(tuple_(Product.connection_id, Product.external_id).in_(wanted))
        .options(undefer(Product.texts))
    )
    return {(each.connection_id, each.external_id): each for each in found}


def _product_data(product: Product, parents: Mapping[tuple[int, str], Product]) -> m.ProductData:
    """The flat table that a merchant's mapping picks from (O5)."""
    group = product.parent_external_id
    parent = parents.get((product.connection_id, group)) if group else None
    return product_data.product_data(_facts(product), _facts(parent) if parent else None, group)


def _facts(product: Product) -> product_data.Facts:
    named = {each.name: getattr(product, each.name) for each in fields(product_data.Facts)}
    return product_data.Facts(**named)


def _digest(data: m.ProductData | None) -> str | None:
    """A short mark of the product's data, so that the wish changes with them (O5)."""
    if data is None:
        return None
    told = json.dumps([data.fields, data.images, data.parent, data.categories], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _wish(offer: Offer, verdict: rules.Desired | rules.Blocked) -> dict[str, Any] | None:
    """The desired values as they are kept; None = nothing can be sent. A blocked offer that was on sale is taken to stock 0 (K4, I9)."""
    if isinstance(verdict, rules.Blocked):
        _say(offer, m.OfferState.WAITING, verdict.reason)
        return {**offer.desired, "stock": 0, "on": False} if verdict.take_down and offer.desired else None
    if verdict.reason is not None:
        _say(offer, m.OfferState.OFF, verdict.reason)
    elif offer.state == m.OfferState.OFF:
        _say(offer, m.OfferState.WAITING, m.Reason("offer.waiting"))
    return {
        "sku": verdict.sku,
        "gtin": verdict.gtin,
        "title": verdict.title,
        "price": verdict.price,
        "currency": verdict.currency,
        "stock": verdict.stock,
        "handling_days": verdict.handling_days,
        "on": verdict.on,
        "shipping_group": verdict.shipping_group,
    }


def _doubled(session: Session, marketplace: Connection, skus: Sequence[str]) -> dict[str, int]:
    """SKUs that several products of the shop have, and how many of these are on sale here: a marketplace has one offer per SKU, so each
    would overwrite the stock of the other. The one that was there alone stays.
    """
    rows = session.execute(
        select(Product.sku, func.count(), func.count(Offer.external_ref))
        .join(Offer, Offer.product_id == Product.id)
        .where(
            Offer.connection_id == marketplace.id,
            Product.sku.in_(skus),
            Product.deleted.is_(False),
            Product.published.is_(True),
            Product.kind.in_(rules.SELLABLE_KINDS),
        )
        .group_by(Product.sku)
        .having(func.count() > 1)
    )
    return {sku: on_sale for sku, _, on_sale in rows if sku is not None}


def _product_truth(product: Product) -> rules.ProductTruth:
    return rules.ProductTruth(
        sku=product.sku,
        gtin=product.gtin,
        title=product.title,
        price=product.price,
        currency=product.currency,
        stock=product.stock,
        in_stock=product.in_stock,
        published=product.published,
        deleted=product.deleted,
        kind=product.kind,
        handling_days=product.handling_days,
    )


def _offer_rules(
    marketplace: Connection,
    shop: Connection | None,
    provider: Provider,
    offer: Offer,
    price_rule: pricing.PriceRule,
) -> rules.OfferRules:
    """The merchant's rules: overrides of this offer first, then those of the marketplace, then those of the shop."""
    mine, theirs = marketplace.settings, shop.settings if shop is not None else {}
    return rules.OfferRules(
        on=offer.on,
        price_rule=price_rule,
        price_override=offer.overrides.get("price"),
        stock_override=offer.overrides.get("stock"),
        handling_override=offer.overrides.get("handling_days"),
        default_handling_days=int(mine.get("handling_days", 1)),
        added_handling_days=int(mine.get("added_handling_days", 0)),
        handling_cap=mine.get("handling_cap"),
        buffer=int(_first(mine.get("stock_buffer"), theirs.get("stock_buffer"), 0)),
        unmanaged_stock=int(theirs.get("default_stock") or 0),
        currency=provider.currency_of(mine) if provider.currency_of else provider.currencies[0],
        shipping_group=offer.overrides.get("shipping_group") or mine.get("shipping_group"),
    )


def _first(*values: Any) -> Any:
    """The first that is set; 0 is a setting."""
    return next(value for value in values if value is not None)


def _write_down(
    session: Session,
    marketplace: Connection,
    token: str,
    wanted: dict[int, m.OfferWanted],
    revisions: dict[int, int],
    answers: Sequence[m.OfferAnswer],
    scale: float,
) -> None:
    """Sent, confirmed or refused, offer by offer. Nothing is written for an offer whose lease another worker has taken."""
    by_sku = {answer.sku: answer for answer in answers}
    now = datetime.now(UTC)
    well: list[str] = []
    rows = session.scalars(
        select(Offer)
        .where(Offer.id.in_(wanted), Offer.lease_token == token)
        .order_by(Offer.id)
        .with_for_update()
    )
    for offer in rows:
        want = wanted[offer.id]
        answer = by_sku.get(want.sku)
        subject = f"offer/{offer.id}"
        if answer is not None and answer.shown is not None and answer.shown.external_ref:
            offer.external_ref = answer.shown.external_ref
        if answer is None or answer.retry:
            reason = answer.reason if answer and answer.reason else m.Reason("offer.waiting")
            _postpone(offer, reason, scale)
            continue
        offer.sent, offer.sent_at = offer.desired, now
        offer.sent_revision = revisions[offer.id]
        if offer.task is not None and offer.task != answer.task:
            offer.overtaken = [*offer.overtaken, offer.task][-MOST_OVERTAKEN:]
        offer.task, offer.task_due_at = answer.task, now if answer.task or offer.overtaken else None
        offer.task_since = (offer.task_since or now) if answer.task or offer.overtaken else None
        if answer.task is not None:
            if not _is_stuck(offer, now):
                well.append(subject)
            if want.on and offer.state != m.OfferState.OFF:
                _say(offer, m.OfferState.WAITING, m.Reason("offer.in_process"))
            continue  # taken is not done: who loses it again and again is asked less and less often
        offer.attempts = 0
        if not answer.ok:
            reason = answer.reason or m.Reason("offer.refused")
            _say(offer, answer.state, reason)
            _refused(session, marketplace, offer, want.sku, reason)
            continue
        well.append(subject)
        if answer.shown is not None:
            offer.confirmed, offer.confirmed_revision, offer.confirmed_at = (
                _known(offer, revisions[offer.id], _shown(answer.shown)),
                revisions[offer.id],
                now,
            )
        if want.on and offer.state != m.OfferState.OFF:
            _say(offer, answer.state, answer.reason)
    close_cases(session, account_id=marketplace.account_id, subjects=well)


def collect(
    session: Session, marketplace: Connection, client: AnswersLater, *, lease: int, hurry: float = 1.0
) -> int:
    """Ask what became of offers that the marketplace took for processing. Answers how many are decided now. `hurry`: how many times faster than a
    real one a simulated marketplace lives.

    An offer that changes meanwhile is sent again under another task, at once. Nobody promises that tasks are worked off in their order, so when
    the newest has ended, those that it has overtaken are asked too, and then the offer is sent once more: an old stock may have been put over
    it. A task that ends without a word about an offer has lost it: it is sent once more, too.
    """
    due = sorted(session.execute(_TASKS, {"connection": marketplace.id, "lease": lease}).scalars())
    session.commit()
    if not due:
        return 0
    decided = 0
    ended: list[str] = []
    for seen in client.read_tasks(due):
        again = timedelta(seconds=max(1.0, seen.again_in / hurry))
        decided += _decide(session, marketplace, seen, again)
        session.commit()
        if seen.done:
            ended.append(seen.task)
    decided += _end_overtaken(session, marketplace, ended)
    session.commit()
    return decided


def _end_overtaken(session: Session, marketplace: Connection, ended: Sequence[str]) -> int:
    """Send again what was overtaken by nobody knows which of its tasks. While the newest is undecided nothing is said about the others."""
    rows = session.scalars(
        select(Offer)
        .where(
            Offer.connection_id == marketplace.id, Offer.task.is_(None), Offer.overtaken.overlap(list(ended))
        )
        .order_by(Offer.id)
        .with_for_update()
    ).all()
    for offer in rows:
        offer.overtaken = [task for task in offer.overtaken if task not in ended]
        if not offer.overtaken:
            offer.task_due_at = offer.task_since = None
            offer.confirmed, offer.revision = None, offer.revision + 1
            offer.next_attempt_at = func.now()
    return len(rows)


def _decide(session: Session, marketplace: Connection, seen: m.TaskSeen, again: timedelta) -> int:
    now = datetime.now(UTC)
    rows = session.execute(
        select(Offer, Product.sku)
        .join(Product, Product.id == Offer.product_id)
        .where(Offer.connection_id == marketplace.id, Offer.task == seen.task)
        .order_by(Offer.id)
        .with_for_update(of=Offer)
    ).all()
    if not seen.done:
        waiting = or_(Offer.task == seen.task, Offer.task.is_(None) & Offer.overtaken.contains([seen.task]))
        session.execute(
            update(Offer)
            .where(Offer.connection_id == marketplace.id, waiting)
            .values(task_due_at=now + again)
            .execution_options(synchronize_session="fetch")
        )
        for offer, sku in rows:
            if _is_stuck(offer, now):
                _stuck(session, marketplace, offer, sku)
        return 0
    answers: dict[str, m.OfferAnswer] = {}
    for each in seen.answers:
        # Of two verdicts on one SKU the refusal counts: nothing is called on sale that may not be.
        if each.sku not in answers or answers[each.sku].ok:
            answers[each.sku] = each
    well: list[str] = []
    for offer, sku in rows:
        since, offer.task_since = offer.task_since, now if offer.overtaken else None
        offer.task, offer.task_due_at = None, now if offer.overtaken else None
        close_case(session, account_id=offer.account_id, subject=f"offer/{offer.id}", code=STUCK)
        answer = answers.get(str((offer.sent or {}).get("sku") or sku))
        if answer is None or answer.retry:
            offer.revision += 1  # what was sent is not there
            reason = (answer and answer.reason) or m.Reason("offer.lost_in_process")
            _postpone(offer, reason, 1.0, most=PARTNER_DOWN)
        elif answer.task is not None:
            offer.task, offer.task_due_at, offer.task_since = answer.task, now + again, since
        else:
            _end(session, marketplace, offer, answer, now, well)
    close_cases(session, account_id=marketplace.account_id, subjects=well)
    return len(rows)


def _end(
    session: Session,
    marketplace: Connection,
    offer: Offer,
    answer: m.OfferAnswer,
    now: datetime,
    well: list[str],
) -> None:
    """What the marketplace decided about one offer."""
    offer.attempts = 0
    if answer.shown is not None and answer.shown.external_ref:
        offer.external_ref = answer.shown.external_ref
    if not answer.ok:
        reason = answer.reason or m.Reason("offer.refused")
        _say(offer, answer.state, reason)
        _refused(session, marketplace, offer, answer.sku, reason)
        return
    well.append(f"offer/{offer.id}")
    sent = offer.sent or {}
    told = _shown(answer.shown) if answer.shown is not None else {name: sent.get(name) for name in SHOWN}
    offer.confirmed = _known(offer, offer.sent_revision, told)
    offer.confirmed_revision, offer.confirmed_at = offer.sent_revision, now
    if sent.get("on") and offer.state != m.OfferState.OFF:
        _say(offer, answer.state, answer.reason)


def _is_stuck(offer: Offer, now: datetime) -> bool:
    return offer.task_since is not None and now - offer.task_since > STUCK_AFTER


def _stuck(session: Session, marketplace: Connection, offer: Offer, sku: str | None) -> None:
    """Nobody says what became of an offer: the merchant may look there, and somebody must know that an old stock may be on sale."""
    told: dict[str, object] = {"marketplace": marketplace.name, "sku": sku}
    if offer.state == m.OfferState.WAITING:
        _say(offer, m.OfferState.WAITING, m.Reason(STUCK, told))
    open_case(
        session,
        account_id=offer.account_id,
        connection_id=marketplace.id,
        subject=f"offer/{offer.id}",
        code=STUCK,
        params=told,
    )


def _known(offer: Offer, revision: int, told: dict[str, Any]) -> dict[str, Any] | None:
    """What is confirmed; nothing, when somebody has wanted the offer sent again since it left: then a difference to it would not be enough."""
    return told if offer.revision == revision else None


def _refused(session: Session, marketplace: Connection, offer: Offer, sku: str, reason: m.Reason) -> None:
    open_case(
        session,
        account_id=offer.account_id,
        connection_id=marketplace.id,
        subject=f"offer/{offer.id}",
        code=reason.code,
        params={"sku": sku, **reason.params},
    )


def _again_where_lost(session: Session, token: str, wanted: dict[int, m.OfferWanted]) -> None:
    """We were so slow that another worker has taken over: our older values may have arrived after its newer ones, so they are sent once more (I13)."""
    session.execute(
        update(Offer)
        .where(Offer.id.in_(wanted), Offer.lease_token.is_distinct_from(token))
        .values(revision=Offer.revision + 1, next_attempt_at=func.now())
        .execution_options(synchronize_session=False)
    )
    session.expire_all()


def _later(session: Session, token: str, ids: Sequence[int], error: ShopbridgeError, scale: float) -> None:
    """The whole batch could not go: every offer of it is due again after its own wait."""
    rows = session.scalars(
        select(Offer)
        .where(Offer.id.in_(ids), Offer.lease_token == token)
        .order_by(Offer.id)
        .with_for_update()
    )
    # One moment for all: what was one batch is due as one batch again, not as two halves.
    its_turn = datetime.now(UTC) + timedelta(seconds=getattr(error, "retry_after", None) or 1)
    for offer in rows:
        if error.code in NOT_A_TRY:
            offer.next_attempt_at = its_turn
        else:
            _postpone(offer, m.Reason(error.code, plan.jsonable(error.params)), scale, most=PARTNER_DOWN)
        if offer.desired is None:
            offer.stale = True
        offer.lease_token = offer.lease_until = None


def _postpone(offer: Offer, reason: m.Reason, scale: float, *, most: int = len(plan.STEPS)) -> None:
    """Offers are never given up: the last step of the plan (or the step `most`) repeats, because the desired state stays true."""
    offer.attempts += 1
    seconds = plan.wait(min(offer.attempts, most), scale)
    offer.next_attempt_at = text("now() + make_interval(secs => :wait)").bindparams(wait=seconds)  # type: ignore[assignment]
    _say(offer, m.OfferState(offer.state), reason)


def _say(offer: Offer, state: m.OfferState, reason: m.Reason | None) -> None:
    offer.state = state
    offer.reason_code, offer.reason_params = (
        (None, {}) if reason is None else (reason.code, plan.jsonable(reason.params))
    )


def _shown(shown: m.OfferShown) -> dict[str, Any]:
    return {
        "price": shown.price,
        "stock": shown.stock,
        "handling_days": shown.handling_days,
        "on": shown.on,
        "shipping_group": shown.shipping_group,
        "raw_state": shown.raw_state,
    }
