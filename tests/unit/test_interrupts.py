"""Signals that end a run."""

from __future__ import annotations

import signal

import pytest

from firexkit.runtime.interrupts import Interrupts, RunStopped


class Heard:
    """What was called."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.interrupts = Interrupts(lambda: self.calls.append("at once"), lambda: self.calls.append("late"))


def test_the_first_signal_leaves_a_block_that_welcomes_it():
    heard = Heard()

    with heard.interrupts.handled(), pytest.raises(RunStopped) as stopped, heard.interrupts.welcome():
        signal.raise_signal(signal.SIGTERM)
    assert stopped.value.number == signal.SIGTERM
    assert heard.calls == []


def test_one_that_came_before_leaves_it_at_its_start():
    heard = Heard()

    with heard.interrupts.handled():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(RunStopped), heard.interrupts.welcome():
            pytest.fail("the block is not entered")
    assert heard.calls == ["late"]


def test_a_second_ctrl_c_is_meant_and_a_repeated_signal_is_not():
    heard = Heard()

    with heard.interrupts.handled():
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.raise_signal(number)
    assert heard.calls == ["late", "at once"]


def test_what_was_ignored_stays_ignored_and_handlers_come_back():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    terminate = signal.getsignal(signal.SIGTERM)
    heard = Heard()
    try:
        with heard.interrupts.handled():
            signal.raise_signal(signal.SIGHUP)
        ignored = signal.getsignal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)

    assert heard.calls == []
    assert ignored == signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) == terminate
