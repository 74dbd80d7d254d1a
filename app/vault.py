"""Encryption at rest: secrets, addresses, raw webhook bodies and attempt rows are sealed before they reach the database.

AES-256-GCM under the newest of the master keys; older keys open what they sealed, until `rotate` has gone over every row. What
may go wrong: a master key is lost, then everything sealed under it is lost (`vault.key_missing`). Why not Fernet:
docs/decisions/0003-vault.md.

A sealed value is `01 | key id (4 bytes) | nonce (12 bytes) | ciphertext | tag (16 bytes)`: 33 bytes longer than the plain one.
The first five bytes and the caller's `context` are authenticated too. Key id and encryption key are both derived from the
master key by HKDF-SHA256, so the id says nothing about the key. Nonces are random: with 2**32 messages under one key (20 a
second for seven years) the chance of a repeated nonce is 2**-33, the bound of NIST SP 800-38D; rotate before that, or yearly.
"""

import base64
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.errors import Refused

_VERSION = b"\x01"
_PREFIX = 5
_NONCE = 12
_TAG = 16


class VaultError(Refused):
    """A sealed value cannot be opened: `vault.key_missing` (its key is not among ours) or `vault.damaged` (it was changed)."""


class _Key(NamedTuple):
    prefix: bytes  # version and key id: what sealed values begin with
    cipher: AESGCM


class Vault:
    """Seals and opens bytes. Threads may share one; it holds keys only, and is cheap to make (about 50 us for each key)."""

    def __init__(self, master_keys: Sequence[str]) -> None:
        """`master_keys`: newest first, each from `generate_key`. Raises ValueError for none, malformed or repeated ones."""
        if not master_keys:
            raise ValueError("the vault needs at least one master key")
        keys = [_derived(master_key) for master_key in master_keys]
        self._newest = keys[0]
        self._by_prefix: Mapping[bytes, AESGCM] = {key.prefix: key.cipher for key in keys}
        if len(self._by_prefix) != len(keys):
            raise ValueError("the same master key is given twice")

    def __repr__(self) -> str:
        return f"<Vault of {len(self._by_prefix)} keys>"

    @property
    def prefix(self) -> bytes:
        """The five bytes that everything sealed under the newest key begins with, to find rows that `rotate` has yet to do."""
        return self._newest.prefix

    def seal(self, plain: bytes, *, context: bytes = b"") -> bytes:
        """Encrypt under the newest key. `context` (e.g. the column's name) must be given again to open."""
        nonce = os.urandom(_NONCE)
        prefix, cipher = self._newest
        return prefix + nonce + cipher.encrypt(nonce, plain, prefix + context)

    def open(self, sealed: bytes, *, context: bytes = b"") -> bytes:
        """The plain bytes. Raises VaultError."""
        prefix = sealed[:_PREFIX]
        if len(sealed) < _PREFIX + _NONCE + _TAG or prefix[:1] != _VERSION:
            raise VaultError("vault.damaged")
        cipher = self._by_prefix.get(prefix)
        if cipher is None:
            raise VaultError("vault.key_missing", key_id=prefix[1:].hex())
        try:
            return cipher.decrypt(
                sealed[_PREFIX : _PREFIX + _NONCE], sealed[_PREFIX + _NONCE :], prefix + context
            )
        except InvalidTag:
            raise VaultError("vault.damaged", key_id=prefix[1:].hex()) from None

    def seal_json(self, value: Any, *, context: bytes = b"") -> bytes:
        """Seal JSON data, e.g. the secret settings of a connection."""
        return self.seal(
            json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(), context=context
        )

    def open_json(self, sealed: bytes, *, context: bytes = b"") -> Any:
        """What `seal_json` sealed. Raises VaultError."""
        return json.loads(self.open(sealed, context=context))

    def rotate(self, sealed: bytes, *, context: bytes = b"") -> bytes:
        """The same value under the newest key; unchanged when it already is. Raises VaultError."""
        if sealed.startswith(self.prefix):
            return sealed
        return self.seal(self.open(sealed, context=context), context=context)


def generate_key() -> str:
    """A new master key: 32 random bytes as URL-safe base64 (44 characters)."""
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def _derived(master_key: str) -> _Key:
    try:
        secret = base64.b64decode(master_key.strip().encode(), altchars=b"-_", validate=True)
    except ValueError:
        secret = b""
    if len(secret) != 32:
        raise ValueError("a master key is 32 bytes in URL-safe base64; make one with `generate_key`")
    key_id = HKDF(SHA256(), length=4, salt=None, info=b"shopbridge vault 1: key id").derive(secret)
    key = HKDF(SHA256(), length=32, salt=None, info=b"shopbridge vault 1: AES-256-GCM").derive(secret)
    return _Key(_VERSION + key_id, AESGCM(key))
