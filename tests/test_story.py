from sqlalchemy import text
from sqlalchemy.orm import Session

from app import accounts
from app.story import close_case, close_cases, open_case


def test_the_hundredth_case_of_a_worker_is_written_like_the_first(session: Session) -> None:
    """After a few runs the driver prepares the statement on the server, and PostgreSQL plans it without the values."""
    account = accounts.create_account(session, "Anna's Teeladen")
    for number in range(100):
        open_case(session, account_id=account.id, subject=f"order/{number}", code="order.oversold", params={})
    session.commit()
    assert session.scalar(text("SELECT count(*) FROM case_")) == 100


def test_a_problem_is_one_open_case_however_often_it_shows(session: Session) -> None:
    account = accounts.create_account(session, "Anna's Teeladen")
    for _ in range(3):
        open_case(session, account_id=account.id, subject="order/1", code="order.oversold", params={})
    close_case(session, account_id=account.id, subject="order/1")
    open_case(session, account_id=account.id, subject="order/1", code="order.oversold", params={})
    states = session.execute(text("SELECT state FROM case_ ORDER BY id")).scalars().all()
    assert states == ["closed", "open"]


def test_a_batch_that_went_well_closes_only_its_own_open_cases(session: Session) -> None:
    account = accounts.create_account(session, "Anna's Teeladen")
    stranger = accounts.create_account(session, "Chai GmbH")
    for owner in (account, stranger):
        for subject in ("offer/1", "offer/2", "offer/3"):
            open_case(session, account_id=owner.id, subject=subject, code="offer.refused", params={})
    close_cases(session, account_id=account.id, subjects=["offer/1", "offer/2"])
    close_cases(session, account_id=account.id, subjects=[])
    found = session.execute(text("SELECT account_id, subject FROM case_ WHERE state = 'open' ORDER BY id"))
    left = [tuple(row) for row in found]
    assert left == [
        (account.id, "offer/3"),
        (stranger.id, "offer/1"),
        (stranger.id, "offer/2"),
        (stranger.id, "offer/3"),
    ]
