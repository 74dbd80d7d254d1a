"""T15: nothing readable at rest, nothing opened that was changed, and keys that can be replaced under load."""

import base64
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Refused
from app.vault import Vault, VaultError, generate_key

OLD, NEW = generate_key(), generate_key()
SECRET = b"whsec_Anna keeps her tea in Musterweg 12"


def code(caught: pytest.ExceptionInfo[VaultError]) -> str:
    return caught.value.code


@given(plain=st.binary(max_size=4096), context=st.binary(max_size=40))
def test_what_was_sealed_can_be_opened(plain: bytes, context: bytes) -> None:
    vault = Vault([NEW])
    sealed = vault.seal(plain, context=context)
    assert vault.open(sealed, context=context) == plain
    assert len(sealed) == len(plain) + 33


def test_json_comes_back_as_it_was() -> None:
    vault = Vault([NEW])
    value = {"secret_key": "geheim", "shop": "Bücher Boldt", "n": [1, None, True]}
    assert vault.open_json(vault.seal_json(value)) == value


def test_no_plain_text_is_in_1000_sealed_secrets() -> None:
    vault = Vault([NEW])
    for number in range(1000):
        secret = f"whsec_{number:06d}_geheim".encode()
        sealed = vault.seal(secret)
        assert secret not in sealed
        assert b"whsec_" not in sealed
        assert base64.b64encode(secret)[:12] not in sealed
        assert vault.open(sealed) == secret


def test_the_same_secret_never_looks_the_same() -> None:
    vault = Vault([NEW])
    assert len({vault.seal(SECRET) for _ in range(1000)}) == 1000


def test_every_changed_byte_and_every_cut_is_noticed() -> None:
    vault = Vault([NEW])
    sealed = vault.seal(SECRET)
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 0x01
        with pytest.raises(VaultError) as caught:
            vault.open(bytes(changed))
        assert code(caught) == ("vault.key_missing" if 1 <= place < 5 else "vault.damaged")
    for length in range(len(sealed)):
        with pytest.raises(VaultError):
            vault.open(sealed[:length])
    with pytest.raises(VaultError):
        vault.open(sealed + b"\0")


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x02" + b"x" * 60, b"gAAAAABmFernetToken" * 4, SECRET])
def test_what_was_never_sealed_is_damaged(sealed: bytes) -> None:
    with pytest.raises(VaultError) as caught:
        Vault([NEW]).open(sealed)
    assert code(caught) == "vault.damaged"


def test_another_key_opens_nothing_and_says_which_key_is_missing() -> None:
    sealed = Vault([OLD]).seal(SECRET)
    with pytest.raises(VaultError) as caught:
        Vault([NEW]).open(sealed)
    assert code(caught) == "vault.key_missing"
    assert caught.value.params["key_id"] == sealed[1:5].hex()
    assert isinstance(caught.value, Refused)


def test_a_sealed_value_does_not_open_in_another_place() -> None:
    vault = Vault([NEW])
    sealed = vault.seal(SECRET, context=b"connection.secrets:7")
    for context in (b"connection.secrets:8", b""):
        with pytest.raises(VaultError) as caught:
            vault.open(sealed, context=context)
        assert code(caught) == "vault.damaged"


def test_the_newest_key_seals_and_older_ones_still_open() -> None:
    before, during, after = Vault([OLD]), Vault([NEW, OLD]), Vault([NEW])
    old = before.seal(SECRET)
    assert during.open(old) == SECRET
    assert after.open(during.seal(SECRET)) == SECRET
    moved = during.rotate(old)
    assert after.open(moved) == SECRET
    with pytest.raises(VaultError):
        before.open(moved)


def test_rotating_keeps_the_context_and_leaves_new_values_alone() -> None:
    during = Vault([NEW, OLD])
    moved = during.rotate(Vault([OLD]).seal(SECRET, context=b"c"), context=b"c")
    assert moved.startswith(during.prefix)
    assert during.rotate(moved, context=b"c") is moved
    assert Vault([NEW]).open(moved, context=b"c") == SECRET


def test_rotating_finds_the_rows_still_to_do_by_their_first_bytes() -> None:
    during = Vault([NEW, OLD])
    rows = [Vault([OLD]).seal(b"1"), during.seal(b"2"), Vault([OLD]).seal(b"3")]
    assert [row.startswith(during.prefix) for row in rows] == [False, True, False]


def test_1000_secrets_survive_a_rotation_under_load() -> None:
    old, during, after = Vault([OLD]), Vault([NEW, OLD]), Vault([NEW])
    rows = [old.seal(f"secret {number}".encode()) for number in range(1000)]
    failed: list[int] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            failed.extend(n for n in range(0, 1000, 7) if during.open(rows[n]) != f"secret {n}".encode())

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number, row in enumerate(rows):
        rows[number] = during.rotate(row)
    stop.set()
    for reader in readers:
        reader.join()
    assert failed == []
    assert [after.open(row) for row in rows] == [f"secret {number}".encode() for number in range(1000)]


def test_a_generated_key_has_32_random_bytes() -> None:
    keys = {generate_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(len(base64.urlsafe_b64decode(key)) == 32 for key in keys)
    assert all(key.isascii() and "," not in key and len(key) == 44 for key in keys)


def test_a_key_may_come_with_the_line_end_of_its_file() -> None:
    assert Vault([NEW + "\n"]).open(Vault([NEW]).seal(SECRET)) == SECRET


@pytest.mark.parametrize(
    "keys", [[], [""], ["short"], [NEW[:-4]], [NEW + "AAAA"], ["!" * 44], ["ü" * 44], [NEW, NEW], [NEW, "x"]]
)
def test_a_vault_without_proper_keys_is_not_opened(keys: list[str]) -> None:
    with pytest.raises(ValueError, match="key"):
        Vault(keys)


def test_a_vault_shows_no_key(capsys: pytest.CaptureFixture[str]) -> None:
    vault = Vault([NEW, OLD])
    assert repr(vault) == "<Vault of 2 keys>"
    with pytest.raises(ValueError, match="master key") as caught:
        Vault([NEW[:-4]])
    assert NEW[:8] not in str(caught.value)


def test_the_format_does_not_change_behind_our_back() -> None:
    """A value sealed by the first version must open for ever."""
    key = base64.urlsafe_b64encode(bytes(range(32))).decode()
    sealed = bytes.fromhex(FIRST_VERSION)
    assert Vault([key]).open(sealed, context=b"first") == b"Anna's Teeladen"


FIRST_VERSION = (
    "01a9cef666ca0ecb92195e14b8aafccad05fc21f1901d845fdc97d11e0bd1773853091720ef11fc38284647e0ec1dd2b"
)
