"""Who belongs to a command's process tree."""

import pytest

from firexkit.process.running import Ending, Limits
from firexkit.process.tree import Member, members

ROOT = 100
ELSEWHERE = 7


@pytest.mark.parametrize(
    ("processes", "expected"),
    [
        ({ROOT: Member(1, ROOT)}, {ROOT}),
        ({ROOT: Member(1, ROOT), 101: Member(ROOT, ROOT), 102: Member(101, ROOT)}, {ROOT, 101, 102}),
        ({101: Member(1, ROOT)}, {101}),
        ({ROOT: Member(1, ROOT), 101: Member(ROOT, 101), 102: Member(101, 101)}, {ROOT, 101, 102}),
        ({102: Member(1, 101), 50: Member(1, ELSEWHERE), 51: Member(50, None)}, set()),
    ],
    ids=["alone", "children", "orphans of the session", "sessions of descendants", "daemons and strangers"],
)
def test_members_are_a_session_and_its_descendants(processes, expected):
    """Whoever is in the command's session, and all below; a daemon has left both."""
    assert members(processes, {ROOT}) == expected


def test_a_known_member_stays_one():
    """A process that lost its parent, and had left the session before, was seen when it still had it."""
    processes = {101: Member(1, 101), 102: Member(101, 101), 103: Member(1, 103)}

    assert members(processes, {ROOT}, known={101}) == {101, 102}


def test_a_session_that_a_member_made_is_the_commands():
    """Who is in it belongs to the command, though the one that made it is gone."""
    assert members({102: Member(1, 101), 103: Member(1, 103)}, {ROOT, 101}) == {102}


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(10, 3), (8, Ending.INACTIVE)),
        (Limits(5, 3), (5, Ending.TIMEOUT)),
        (Limits(10, None), (10, Ending.TIMEOUT)),
        (Limits(None, 3), (8, Ending.INACTIVE)),
    ],
)
def test_the_next_limit(limits, expected):
    """Of a command that began at 0 and was heard at 5, the limit that comes first."""
    assert limits.next_one(started=0, heard=5) == expected


def test_without_limits_there_is_no_next_one():
    """Such a command may take and be silent for any time."""
    assert Limits(None, None).next_one(started=0, heard=5)[0] == float("inf")
