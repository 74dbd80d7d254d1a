"""Logs: JSON lines or console, with what belongs to the work at hand on every line, and without secrets.

`configure` is called once per process; `redact` and `redact_text` are also used for attempt rows and exports. What may go
wrong: a secret in a shape that no rule here knows stays readable, so secrets travel under names that say so
(`password=...`), never bare in a sentence. Rules: reliability T14 (canaries), T17 (personal data).
"""

import logging
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Literal, TextIO

import structlog

REDACTED = "[redacted]"

Level = Literal["debug", "info", "warning", "error", "critical"]

# Compared with names in lower case without separators: `Shop-Signature`, `shop_signature` and `shopSignature` are one.
_SECRET_PARTS = (
    "secret", "password", "passwd", "passphrase", "authorization", "signature", "token", "apikey", "accesskey",
    "privatekey", "masterkey", "clientkey", "consumerkey", "encryptionkey", "credential", "cookie", "bearer",
)  # fmt: skip
_SECRET_NAMES = frozenset(
    {"pwd", "pass", "auth", "hmac", "xhash", "pairingcode", "accesscode", "otp", "sessionid"}
)
_PERSONAL_PARTS = (
    "iban", "email", "phone", "telephone", "mobile", "firstname", "lastname", "surname", "fullname", "street",
    "housenumber", "houseno", "addressline", "address1", "address2", "accountholder", "birthdate", "dateofbirth",
    "billingname", "shippingname", "buyername", "customername", "recipient",
)  # fmt: skip
_PERSONAL_NAMES = frozenset({
    "mail", "bic", "city", "town", "zip", "zipcode", "postcode", "postalcode", "contact", "fax", "birthday", "salutation",
})  # fmt: skip

# A name and what divides it from its value in running text: `api_key=`, `"secret_key": `, `Shop-Signature: `, `\"pwd\":`.
_NAME = re.compile(r"(?<![\w-])([\w-]{2,64}+)\\?[\"']?\s{0,3}[:=]\s{0,3}")
_VALUE = re.compile(
    r"b?(?P<escaped>\\)?\"(?:[^\"\\]|\\(?!\"|$)|(?(escaped)(?!)|\\.))*+(?:\\?\"|\\?$)"
    r"|b?'(?:[^'\\]|\\.)*+(?:'|$)"
    r"|\[[^\]]*+(?:\]|$)|\{[^}]*+(?:\}|$)"
    r"|(?:Bearer|Basic|Digest)\s+[^\s,;&\"'}]+"
    r"|[^\s,;&\"'})\]]+",
    re.IGNORECASE | re.DOTALL,
)
_SECRET_VALUES = re.compile(
    r"whsec_[\w+/=-]+"
    r"|\bv1a?,[A-Za-z0-9+/=_-]{20,}"  # Standard Webhooks signature
    r"|\b(?:Bearer|Basic)\s+[\w.+/=~-]{6,}"
    r"|\b(?:sk|rk|pk)_(?:live|test)_\w+|\b(?:ck|cs)_[0-9a-f]{16,}|\bshp(?:at|ss|ca|pa)_\w+"
    r"|\beyJ[\w-]{5,}+\.[\w-]++\.[\w-]*+"  # JSON Web Token
    r"|-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,20}PRIVATE KEY-----|$)"
    r"|\b[A-Z]{2}\d{2}(?:[ ]?[A-Z0-9]{4}){2}[ ]?[A-Z0-9]{3}(?:[ ]?[A-Z0-9]){0,19}\b"  # IBAN
    r"|(?<![\w+])(?:\+[1-9]\d|00[1-9]\d[ /-])(?:[ ()/.-]{0,2}\d){6,12}(?!\w)"  # telephone with country code
    r"|(?<![\w.-])0\d{2,5}[ /-]\d{4,9}(?![\w.-])",  # German telephone
    re.DOTALL,
)
_MAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}(?:@|%40)[\w-]{1,63}+(?:\.[\w-]{1,63}+)+")
_USER_IN_URL = re.compile(r"(?<=://)[^\s/@:]{0,64}:[^\s/@]{1,256}(?=@)")
_STREET = re.compile(
    r"(?<![\w-])(?:[A-ZÄÖÜ][\w-]{0,30}[ ])?[\w-]{0,30}"
    r"(?:[Ss]tra(?:ß|ss)e|[Ss]tr\.|[Ww]eg|[Pp]latz|[Aa]llee|[Gg]asse)[ ]\d{1,4}(?:[ ]?[a-z]\b)?"
)


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a field, header or parameter of this name holds a secret."""
    plain = _plain(name)
    return plain in _SECRET_NAMES or any(part in plain for part in _SECRET_PARTS)


@lru_cache(maxsize=4096)
def is_personal_name(name: str) -> bool:
    """Whether a field of this name holds personal data of a buyer or merchant."""
    plain = _plain(name)
    return plain in _PERSONAL_NAMES or any(part in plain for part in _PERSONAL_PARTS)


def redact(value: Any) -> Any:
    """A copy of JSON-like data without secrets and personal data; keys and shape stay. Other objects become their repr."""
    if isinstance(value, str):
        return redact_text(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {_key(key): _field(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | AbstractSet):
        return [redact(item) for item in value]
    if isinstance(value, bytes):
        return redact_text(value.decode("utf-8", "replace"))
    return redact_text(str(value) if isinstance(value, BaseException) else repr(value))


def redact_text(text: str) -> str:
    """The text without what looks like a secret or personal data, also inside JSON, query strings, headers and tracebacks."""
    if len(text) < 4:
        return text
    if "=" in text or ":" in text:
        text = _hide_named_values(text)
        text = _USER_IN_URL.sub(REDACTED, text)
    if "@" in text or "%40" in text:
        text = _MAIL.sub(REDACTED, text)
    if " " in text:
        text = _STREET.sub(REDACTED, text)
    return _SECRET_VALUES.sub(REDACTED, text)


def configure(level: Level = "info", *, json: bool = True, stream: TextIO | None = None) -> None:
    """Send structlog and the standard library's loggers through one chain to `stream` (stderr). May be called again."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_last_steps(json=json)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)


@contextmanager
def on_every_line(**names: object) -> Iterator[None]:
    """Bind names (event id, connection, job) to every line logged inside, also by libraries."""
    with structlog.contextvars.bound_contextvars(**names):
        yield


def redact_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The processor: the last one before rendering, so that formatted tracebacks are covered too."""
    return {key: _field(key, value) for key, value in event.items()}


def _last_steps(*, json: bool) -> list[Any]:
    # Tracebacks are text without local variables: locals are where secrets sit.
    steps: list[Any] = [
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact_event,
    ]
    if json:
        return [*steps, structlog.processors.JSONRenderer(ensure_ascii=False, default=repr)]
    plain = structlog.dev.plain_traceback
    return [*steps, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _key(key: object) -> object:
    """Keys may carry data too: a mapping by e-mail address."""
    return redact_text(key) if isinstance(key, str) else key


def _field(name: str, value: Any) -> Any:
    if is_secret_name(name) or is_personal_name(name):
        return value if value is None or value == "" or isinstance(value, bool) else REDACTED
    return redact(value)


def _hide_named_values(text: str) -> str:
    """`password=abc` becomes `password=[redacted]`. Names are looked for inside values too, so values are not skipped over."""
    parts: list[str] = []
    done = 0
    for found in _NAME.finditer(text):
        if found.end() < done or not (is_secret_name(found[1]) or is_personal_name(found[1])):
            continue
        value = _VALUE.match(text, found.end())
        if value is not None and value[0] != "null":
            parts += (text[done : found.end()], REDACTED)
            done = value.end()
    parts.append(text[done:])
    return "".join(parts)
