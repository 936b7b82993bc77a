"""A command that is stopped while it starts."""

import random
import subprocess
import sys

SCRIPT = """
import os, signal, sys, psutil
from firexkit.process import run

class Stopped(Exception):
    pass

def stop(*_):
    raise Stopped

def runs(process):
    try:
        named = process.pid != os.getpid() and any(sys.argv[1] in word for word in process.cmdline())
        return named and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False

signal.signal(signal.SIGALRM, stop)
stopped = 0
for tenths_of_milliseconds in range(1, 60):
    try:
        # Python cannot raise everywhere; then the next signal does.
        signal.setitimer(signal.ITIMER_REAL, tenths_of_milliseconds / 10_000, 1)
        run(f"sleep {sys.argv[1]} & sleep {sys.argv[1]}", output_file=sys.argv[2])
    except Stopped:
        stopped += 1
signal.setitimer(signal.ITIMER_REAL, 0)
_, alive = psutil.wait_procs(filter(runs, psutil.process_iter()), timeout=10)
print(stopped, len(list(filter(runs, alive))))
"""


def test_whenever_it_is_stopped_nothing_runs_on(tmp_path):
    """At each of many moments from the call to a running command, an exception leaves no process behind."""
    seconds = f"60.{random.randrange(10**9)}"  # by this the processes are found
    command = [sys.executable, "-c", SCRIPT, seconds, tmp_path / "output"]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    assert told.split() == ["59", "0"]
