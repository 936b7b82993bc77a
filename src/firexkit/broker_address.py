"""Where a broker is: its address, with the password from a file, and without it for people."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

__all__ = ["BrokerAddressError", "bare", "password_in", "with_password", "without_password"]

_PASSWORD: Final = re.compile(r"(://[^:@/\s;]*):[^\s;]*@")


class BrokerAddressError(ValueError):
    """An address that can't be used, or a password file that can't be read."""


def with_password(address: str, password_file: str | Path | None) -> str:
    """An address with the password that a file holds.

    Args:
        address: a URL, such as ``redis://host:6379/0`` or ``redis+socket:///path?virtual_host=0``.
        password_file: a file whose first line is the password; None leaves the address as it is.

    Raises:
        BrokerAddressError: the file can't be read or is empty, or the address has a password already.
    """
    if password_file is None:
        return address
    try:
        password = Path(password_file).read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BrokerAddressError(f"cannot read the broker's password from {password_file}: {error}") from error
    if not password:
        raise BrokerAddressError(f"the password file {password_file} is empty")
    parts = urlsplit(address)
    if parts.password:
        raise BrokerAddressError("the broker's address holds a password already; give it there or in a file, not both")
    host = parts.netloc.rpartition("@")[2]
    return _at(parts, f"{parts.username or ''}:{quote(password, safe='')}@{host}")


def password_in(address: str) -> str:
    """The password in an address; empty when there is none.

    Args:
        address: a URL.
    """
    return unquote(urlsplit(address).password or "")


def bare(address: str) -> str:
    """An address without its password, to be completed by :func:`with_password`.

    Args:
        address: a URL.
    """
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return _at(parts, f"{parts.username}@{host}" if parts.username else host)


def without_password(address: str) -> str:
    """An address as it may be shown and logged.

    Args:
        address: a URL, several, or a text with URLs in it, right or wrong ones.
    """
    return _PASSWORD.sub(r"\1:***@", address)


def _at(parts: SplitResult, host: str) -> str:
    # Python drops the two slashes of a scheme that it does not know when no host follows them.
    return f"{parts.scheme}://{host}{parts._replace(scheme='', netloc='').geturl()}"
