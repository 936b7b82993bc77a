"""Secrets on their way: encrypted with a key that whoever has the same app has, too.

The key is asked for when the first secret comes, of whoever is at work: a room above says whose key that is. Equal
secrets are equal when they are encrypted (AES-SIV), so that a value is stored once and a call is known again.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from secrets import token_bytes
from typing import Any, Final, NamedTuple, TypeAlias

from firexkit import _lazy
from firexkit._serialization.errors import Json, Refused, WireError
from firexkit._wire import SECRET_KEY_SETTING, SECRET_LABEL
from firexkit.secret import MASK

Password: TypeAlias = Callable[[], str]
"""Gives the text that keys are made of; an empty one if there is none."""

_BLOCK: Final = 64
"""Lengths are told only to so many bytes."""
_ADVICE: Final = (
    f"set {SECRET_KEY_SETTING} to a long random text in the app of each client and worker, "
    "or give the broker a password"
)


class Key(NamedTuple):
    """What secrets are encrypted with."""

    name: str
    """Tells keys apart, and nothing about them."""
    cipher: Any
    mac: bytes


class Hidden:
    """A plain value that travels as a secret does, and arrives as what it is.

    Args:
        value: the value.
    """

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def reveal(self) -> Any:
        """The value."""
        return self._value

    def __repr__(self) -> str:
        return MASK


_passwords: Final[ContextVar[Password | None]] = ContextVar("firexkit_secrets", default=None)
_of_nobody: Final[list[Password]] = [str]
_OWN: Final = token_bytes(32)
"""For digests where there is no key: good in this process only."""


def by_default(password: Password) -> None:
    """Whose key it is where nobody says it."""
    _of_nobody[0] = password


@contextmanager
def sealed_for(password: Password) -> Iterator[None]:
    """Say whose key secrets are encrypted with in the block.

    Args:
        password: gives it when the first secret comes.
    """
    token = _passwords.set(password)
    try:
        yield
    finally:
        _passwords.reset(token)


def _key() -> Key | None:
    password = (_passwords.get() or _of_nobody[0])()
    return _key_of(password) if password else None


def has_key() -> bool:
    """Whether a secret could be sent now."""
    return bool((_passwords.get() or _of_nobody[0])())


@lru_cache(maxsize=16)
def _key_of(password: str) -> Key:
    # Slow on purpose: the password of a broker may be one that people remember, and what it encrypts lies on disks.
    made = hashlib.scrypt(password.encode(), salt=SECRET_LABEL.encode(), n=1 << 14, r=8, p=1, dklen=64 + 32 + 8)
    ciphers = _lazy.module("cryptography.hazmat.primitives.ciphers.aead")
    return Key(made[96:].hex(), ciphers.AESSIV(made[:64]), made[64:96])


def sealed(text: str) -> list[Json]:
    """A text, encrypted: the name of the key and what only it opens.

    Raises:
        Refused: there is no key.
    """
    if (key := _key()) is None:
        raise Refused(f"is a Secret, and there is no key to encrypt it with; {_ADVICE}")
    data = text.encode()
    padded = data.ljust(-(-len(data) // _BLOCK) * _BLOCK)  # JSON does not mind blanks at its end
    return [key.name, b64encode(key.cipher.encrypt(padded, [key.name.encode()])).decode("ascii")]


def opened(parts: Any) -> str:
    """The text that :func:`sealed` made this of.

    Raises:
        WireError: there is no key here, another one, or somebody has changed what was encrypted.
    """
    name, data = parts
    if (key := _key()) is None:
        raise WireError(f"a Secret can't be read: there is no key; {_ADVICE}")
    if key.name != name:
        raise WireError(f"a Secret can't be read: it was encrypted with another key than the one here; {_ADVICE}")
    try:
        return str(key.cipher.decrypt(b64decode(data, validate=True), [name.encode()]).decode())
    except Exception as error:
        raise WireError("a Secret can't be read: it was changed on its way") from error


def fingerprint(text: str) -> str:
    """A digest of a text that tells nobody without the key what the text may be."""
    key = _key()
    return hmac.new(key.mac if key else _OWN, text.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()
