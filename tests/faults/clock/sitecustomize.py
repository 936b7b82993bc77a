"""Another wall clock for this Python, which a test may set at any time: it adds the number in a file to the real one.

Python imports this module before any other when its directory is in PYTHONPATH, so whoever imports `time.time` gets
this one. What C code asks the system, `datetime.now` among it, is not changed; nor are the clocks that nobody sets.
"""

import mmap
import os
import struct
import time
from pathlib import Path

_file = os.environ.get("FIREXKIT_FAULTS_CLOCK")
if _file:
    with Path(_file).open("rb") as file:
        _shift = mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ)
    _seconds, _nanoseconds = time.time, time.time_ns

    def _shifted() -> float:
        return _seconds() + struct.unpack("d", _shift)[0]

    def _shifted_ns() -> int:
        return _nanoseconds() + int(struct.unpack("d", _shift)[0] * 1e9)

    time.time, time.time_ns = _shifted, _shifted_ns
