"""Values without parts that JSON does not know: how each becomes plain JSON, and back."""

from base64 import b64decode, b64encode
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from firexkit import _wire

_Moment = TypeVar("_Moment", datetime, time)


class Scalar(NamedTuple):
    """One type: its tag, its plain form, and the way back."""

    kind: type
    tag: str
    apart: Callable[[Any], Any]
    together: Callable[[Any], Any]


def _moment_apart(moment: datetime | time) -> list[str | int | None]:
    # The text holds an offset only; the zone's name keeps sums across a clock change right.
    zone = moment.tzinfo.key if isinstance(moment.tzinfo, ZoneInfo) else None
    # Asked of the base: a subclass may write something that only it can read.
    text = datetime.isoformat(moment) if isinstance(moment, datetime) else time.isoformat(moment)
    return [text, moment.fold, zone]


def _moment_reader(read: Callable[[str], _Moment]) -> Callable[[list[Any]], _Moment]:
    def together(parts: list[Any]) -> _Moment:
        text, fold, zone = parts
        moment = read(text).replace(fold=fold)
        if zone is not None:
            # A machine without this zone in its database still gets the same instant.
            with suppress(ZoneInfoNotFoundError):
                return moment.replace(tzinfo=ZoneInfo(zone))
        return moment

    return together


def _bytes_apart(data: bytes | bytearray | memoryview) -> str:
    return b64encode(data.tobytes() if isinstance(data, memoryview) else data).decode("ascii")


def _bytes_together(text: str) -> bytes:
    return b64decode(text, validate=True)


SCALARS: Final = (
    Scalar(Path, _wire.TAG_PATH, str, Path),
    Scalar(type(Path()), _wire.TAG_PATH, str, Path),
    Scalar(PureWindowsPath, _wire.TAG_WINDOWS_PATH, str, PureWindowsPath),
    Scalar(PurePath, _wire.TAG_POSIX_PATH, str, PurePosixPath),
    Scalar(PurePosixPath, _wire.TAG_POSIX_PATH, str, PurePosixPath),
    # A datetime is a date, so it has to be asked first.
    Scalar(datetime, _wire.TAG_DATETIME, _moment_apart, _moment_reader(datetime.fromisoformat)),
    Scalar(date, _wire.TAG_DATE, date.isoformat, date.fromisoformat),
    Scalar(time, _wire.TAG_TIME, _moment_apart, _moment_reader(time.fromisoformat)),
    Scalar(
        timedelta,
        _wire.TAG_TIMEDELTA,
        lambda span: [span.days, span.seconds, span.microseconds],
        lambda parts: timedelta(*parts),
    ),
    Scalar(UUID, _wire.TAG_UUID, str, UUID),
    Scalar(Decimal, _wire.TAG_DECIMAL, str, Decimal),
    Scalar(complex, _wire.TAG_COMPLEX, lambda number: [number.real, number.imag], lambda parts: complex(*parts)),
    Scalar(bytes, _wire.TAG_BYTES, _bytes_apart, _bytes_together),
    Scalar(bytearray, _wire.TAG_BYTES, _bytes_apart, _bytes_together),
    Scalar(memoryview, _wire.TAG_BYTES, _bytes_apart, _bytes_together),
    Scalar(int, _wire.TAG_INT, hex, lambda text: int(text, 16)),
)
"""In the order to ask: a subclass travels as the first of these that it is."""
