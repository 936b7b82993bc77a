"""Values of a run as they are in Python: a journal has them as JSON, and long ones by their digest only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from firexkit.journal.model import Entry
from firexkit.journal.valuing import Valuer


class KnownValues:
    """Values by what facts tell of them.

    Args:
        bags: values by name, as tasks took and returned them.
        whole: long values as the journal has them, by their digests.
    """

    def __init__(self, bags: Iterable[Mapping[str, Any]], whole: Mapping[str, bytes]) -> None:
        valuer = Valuer()
        self._kept = {(name, valuer.value("", value).digest): value for bag in bags for name, value in bag.items()}
        self._whole = whole

    def of(self, entry: Entry) -> Any:
        """The value of an entry: as it was, if it is known; else as JSON has it, or its beginning as text."""
        digest, preview = entry.value.digest, entry.value.preview
        if (entry.name, digest) in self._kept:
            return self._kept[entry.name, digest]
        try:
            return msgspec.json.decode(self._whole.get(digest, preview.encode()))
        except msgspec.DecodeError:
            return preview
