"""The transfer file: every file fits the banks' schema, its sums are right, and the same order makes the same bytes."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest
import sepaxml
import xmlschema
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import Refused
from app.papers.sepa import SCHEMA, Payer, Transfer, credit_transfers

PAYER = Payer("Netz Zahlungsdienst GmbH", "DE89370400440532013000")
IBANS = [
    "DE02120300000000202051",
    "AT611904300234573201",
    "NL91ABNA0417164300",
    "FR1420041010050500013M02606",
]
DAY, AT = date(2026, 11, 24), datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
XSD = xmlschema.XMLSchema(str(Path(sepaxml.__file__).parent / "schemas" / f"{SCHEMA}.xsd"))
SPACE = {"p": f"urn:iso:std:iso:20022:tech:xsd:{SCHEMA}"}


@pytest.fixture(autouse=True, scope="module")
def _schema_is_read_once() -> Iterator[None]:
    """The schema: sepaxml reads it anew for every file, which takes longer than all the rest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(xmlschema, "XMLSchema", cache(xmlschema.XMLSchema))
        yield


def transfer(amount: int = 4711, number: int = 1, **more: str) -> Transfer:
    told = {"name": "Anna's Teeladen", "iban": IBANS[0], "text": "Auszahlung Dropshipping", **more}
    return Transfer(amount=amount, reference=f"PAY-{number}", **told)


def made(*transfers: Transfer, message_id: str = "SHOPBRIDGE-20261123-1") -> bytes:
    return credit_transfers(PAYER, transfers, message_id=message_id, day=DAY, made_at=AT)


def texts(file: bytes, path: str) -> list[str]:
    root = ET.fromstring(file)  # noqa: S314 - it is our own.
    return [str(found.text) for found in root.iterfind(path, SPACE)]


def test_it_says_who_pays_whom_how_much_and_when() -> None:
    file = made(transfer(4711, 1), transfer(1, 2, name="Chai GmbH", iban=IBANS[1]))
    XSD.validate(file.decode())
    assert texts(file, ".//p:CdtTrfTxInf/p:Amt/p:InstdAmt") == ["47.11", "0.01"]
    assert texts(file, ".//p:CdtrAcct/p:Id/p:IBAN") == IBANS[:2]
    assert texts(file, ".//p:Cdtr/p:Nm") == ["Anna's Teeladen", "Chai GmbH"]
    assert texts(file, ".//p:EndToEndId") == ["PAY-1", "PAY-2"]
    assert texts(file, ".//p:DbtrAcct/p:Id/p:IBAN") == [PAYER.iban]
    assert texts(file, ".//p:ReqdExctnDt/p:Dt") == ["2026-11-24"]
    assert texts(file, ".//p:GrpHdr/p:MsgId") == ["SHOPBRIDGE-20261123-1"]
    assert texts(file, ".//p:GrpHdr/p:CreDtTm") == ["2026-11-23T03:00:00Z"]


def test_the_totals_in_the_header_are_those_of_the_transfers() -> None:
    file = made(*(transfer(100 + number, number) for number in range(1, 40)))
    amounts = [Decimal(each) for each in texts(file, ".//p:InstdAmt")]
    for place in ("GrpHdr", "PmtInf"):
        assert [Decimal(each) for each in texts(file, f".//p:{place}/p:CtrlSum")] == [sum(amounts)]
        assert texts(file, f".//p:{place}/p:NbOfTxs") == ["39"]


def test_the_same_order_makes_the_same_bytes() -> None:
    assert made(transfer()) == made(transfer())
    assert made(transfer()) != made(transfer(), message_id="SHOPBRIDGE-20261123-2")


def test_letters_that_sepa_does_not_know_are_spelled_out() -> None:
    file = made(transfer(name="Bücher Boldt & Söhne Łódź", text="Größe <5> „gut“"))
    XSD.validate(file.decode())
    assert texts(file, ".//p:Cdtr/p:Nm") == ["Bucher Boldt & Sohne Lodz"]


def test_control_characters_of_a_copied_name_are_left_out() -> None:
    file = made(transfer(name="Anna's\tTeeladen\x0c", text="Auszahlung\x00"))
    XSD.validate(file.decode())
    assert texts(file, ".//p:Cdtr/p:Nm") == ["Anna's Teeladen"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(
            Transfer,
            name=st.text(alphabet=st.characters(max_codepoint=126), min_size=1, max_size=120).filter(
                lambda name: any(each.isalnum() for each in name)
            ),
            iban=st.sampled_from(IBANS),
            amount=st.integers(1, 99_999_999_999),
            reference=st.from_regex(r"[A-Za-z0-9-]{1,35}", fullmatch=True),
            text=st.text(
                alphabet=st.characters(min_codepoint=32, max_codepoint=255, exclude_categories=("Cc", "Cf")),
                min_size=1,
            ).filter(str.strip),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_whatever_suppliers_are_called_the_file_fits_the_schema(transfers: list[Transfer]) -> None:
    file = made(*transfers)
    XSD.validate(file.decode())
    total = sum(Decimal(each) for each in texts(file, ".//p:InstdAmt"))
    assert total == Decimal(sum(each.amount for each in transfers)) / 100


def test_an_iban_that_is_none_refuses_the_whole_file() -> None:
    with pytest.raises(Refused) as refused:
        made(transfer(), transfer(1, 2, iban="no iban"))
    assert refused.value.code == "payment.file_invalid"


@pytest.mark.parametrize("unseen", ["\xad", "\x0c"])
def test_a_name_or_text_of_which_nothing_is_left_refuses_the_whole_file(unseen: str) -> None:
    for empty in (transfer(name=unseen), transfer(text=unseen)):
        with pytest.raises(Refused):
            made(transfer(), empty)


@pytest.mark.parametrize("number", ["", "x" * 36, "Ü", "a;b"])
def test_an_id_that_sepa_does_not_allow_is_a_defect(number: str) -> None:
    with pytest.raises(ValueError, match="no id of SEPA"):
        made(transfer(), message_id=number)


def test_a_file_without_transfers_is_none() -> None:
    with pytest.raises(ValueError, match="at least one"):
        made()
