"""A shop has a new address and was paired again there: a person says that it is the same shop, and it goes on where it was (K4, C1).

Its products and orders have the numbers they had, so the old connection takes over the address and the secrets of the new one: listings, offers,
open orders and sequences stay, and no retailer has to import anything again. What may go wrong: it is another shop after all. Therefore somebody has
to say so, and a connection that has orders, listings or marketplaces of its own is refused.
"""

from __future__ import annotations

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from app import accounts
from app.errors import Refused
from app.models import Account, Connection, Event, Listing, Order, Product
from app.story import close_case

ADDRESS = ("shop_url", "platform", "platform_version", "plugin_version", "currency", "country", "timezone")


def confirm(session: Session, old_id: int, new_id: int) -> Connection:
    """`old` goes on under the address of `new`, which is left empty and removed. Answers the connection that stays, pending until its shop has
    answered a ping; then it is asked for all its products.

    Raises Refused: move.not_possible (not two shops of one account and kind, or the new one is not connected), move.in_use (the new one has
    orders, listings or marketplaces of its own, so it is a shop of its own).
    """
    old, new = _both(session, old_id, new_id)
    if _is_in_use(session, new):
        raise Refused("move.in_use", name=new.name)
    _hand_over(session, old, new)
    session.execute(delete(Product).where(Product.connection_id == new.id))
    # What the shop has reported under its new address is told once more to the connection that stays; what is known already changes nothing.
    session.execute(
        update(Event)
        .where(Event.connection_id == new.id, Event.body.is_not(None), Event.type != "plugin.removed")
        .values(connection_id=old.id, state="due", attempts=0, lease_token=None, lease_until=None)
        .execution_options(synchronize_session=False)
    )
    for each in (old, new):
        close_case(session, account_id=each.account_id, subject=f"connection/{each.id}")
    accounts.ping(session, old, f"moved-{new.id}")
    return old


def _both(session: Session, old_id: int, new_id: int) -> tuple[Connection, Connection]:
    """Both connections, locked; a pairing of the same account waits meanwhile."""
    account_id = session.scalar(select(Connection.account_id).where(Connection.id == old_id))
    session.execute(select(Account.id).where(Account.id == account_id).with_for_update())
    query = select(Connection).where(Connection.id.in_((old_id, new_id))).order_by(Connection.id)
    found = {
        each.id: each
        for each in session.scalars(query.with_for_update().execution_options(populate_existing=True))
    }
    old, new = found.get(old_id), found.get(new_id)
    if old is None or new is None or old.id == new.id:
        raise Refused("move.not_possible")
    same = (old.account_id, old.provider, old.role) == (new.account_id, new.provider, "shop")
    if not same or new.base_url is None or new.state == "removed":
        raise Refused("move.not_possible")
    return old, new


def _is_in_use(session: Session, new: Connection) -> bool:
    attached = (
        select(Order.id).where(or_(Order.shop_id == new.id, Order.connection_id == new.id)),
        select(Listing.id).where(Listing.shop_id == new.id),
        select(Connection.id).where(Connection.shop_id == new.id),
    )
    return any(session.scalar(query.limit(1)) is not None for query in attached)


def _hand_over(session: Session, old: Connection, new: Connection) -> None:
    """The plugin knows the key and the secrets that it was given last."""
    key, name = new.key, new.name
    moved = {each: new.settings[each] for each in ADDRESS if each in new.settings}
    old.base_url, old.secrets, old.settings = new.base_url, new.secrets, {**old.settings, **moved}
    old.state, old.reason_code, old.reason_params, old.paused_until = "pending", None, {}, None
    new.key, new.name = accounts.new_key(), f"{name} (moved {new.id})"
    new.base_url, new.secrets = None, {}
    new.settings = {each: value for each, value in new.settings.items() if each not in ADDRESS}
    new.state, new.reason_code, new.reason_params = "removed", None, {}
    session.flush()  # a key is unique: the new one lets it go first
    old.key = key
    session.flush()
