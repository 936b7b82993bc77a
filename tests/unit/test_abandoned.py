"""What a worker that has died left behind: whose it was."""

import os
import socket
import subprocess
import sys

import pytest

from firexkit import _wire
from firexkit._celery.leases import own_lease, process_of
from firexkit.runtime.abandoned import is_gone


def ended_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_lease_tells_whose_it_is():
    assert process_of(own_lease().name) == (socket.gethostname(), os.getpid())


def test_a_process_of_this_machine_that_has_ended_is_gone():
    assert is_gone(f"{_wire.LEASE}{socket.gethostname()}/{ended_process()}/x")


def test_a_process_that_lives_is_not_gone():
    assert not is_gone(own_lease().name)


def test_nobody_knows_of_a_process_of_another_machine():
    assert not is_gone(f"{_wire.LEASE}elsewhere/{ended_process()}/x")


@pytest.mark.parametrize("name", ["", "x", _wire.LEASE, f"{_wire.LEASE}host/nobody/x"])
def test_what_is_no_lease_is_nobodys(name):
    assert not is_gone(name)
