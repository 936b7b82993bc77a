"""A journal as a file: what is kept, found, and told when it can't be."""

from __future__ import annotations

import shutil
import sqlite3
import threading

import pytest

from firexkit.journal.model import Began, Entry, Failed, Queued, Returned, Unknown, Value, encoded
from firexkit.journal.store import VERSION, Journal, JournalError
from firexkit.journal.tree import Tree

QUEUED = Queued(at=1.0, task="t", name="shop.buy")
BEGAN = Began(
    at=2.0,
    task="t",
    attempt=1,
    name="shop.buy",
    arguments=(Entry(name="what", value=Value(digest="d", preview="'rye bread'")),),
)
RETURNED = Returned(at=3.0, task="t", attempt=1)
FAILED = Failed(at=4.0, task="u", attempt=1, error="OvenError", message="too hot: 400 degrees")
FACTS = [QUEUED, BEGAN, RETURNED, FAILED]


def entries(*facts, first=1):
    """Facts as their stream has them."""
    return [(f"{number}-0", encoded(fact)) for number, fact in enumerate(facts, start=first)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite"


@pytest.fixture
def journal(path):
    with Journal(path, writes=True) as journal:
        journal.append(entries(*FACTS), [("d", b"'rye bread'")])
        yield journal


def test_what_was_kept_is_read_by_another(journal, path):
    """In order, while the first goes on writing."""
    with Journal(path) as reader:
        assert [recorded.fact for recorded in reader.facts()] == FACTS
        journal.append(entries(QUEUED, first=9))
        assert [recorded.number for recorded in reader.facts(after=4)] == [5]
        assert (reader.position, reader.value("d"), reader.value("other")) == ("9-0", b"'rye bread'", None)


def test_what_is_kept_twice_is_there_once(journal):
    """A recorder that was killed begins again where it knows to have been."""
    assert journal.append(entries(*FACTS, QUEUED)) == 1
    assert len([*journal.facts()]) == len(FACTS) + 1
    assert journal.position == "5-0"


def test_all_or_nothing_is_kept(journal):
    """Of what comes at once."""

    def cut_off():
        yield from entries(QUEUED, first=9)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        journal.append(cut_off())

    assert (len([*journal.facts()]), journal.position) == (len(FACTS), "4-0")


@pytest.mark.parametrize(
    ("words", "tasks"),
    [
        (["bread"], ["t"]),
        (["BREAD", "rye"], ["t"]),
        (["shop.buy"], ["t"]),
        (["oven"], ["u"]),
        (["400", "hot"], ["u"]),
        (["hot", "bread"], []),
        (['"'], []),
        (["nothing of the kind"], []),
        ([""], []),
    ],
)
def test_tasks_are_found_by_words(journal, words, tasks):
    """In any case, by beginnings of words, and quotes mean themselves."""
    assert journal.find(words) == tasks


def test_words_may_stand_in_different_facts_of_one_task(journal):
    """One in its name, another in its error."""
    journal.append(entries(Queued(at=1.0, task="u", name="shop.roast"), first=9))

    assert journal.find(["roast", "hot"]) == journal.find(["hot", "roast"]) == ["u"]
    assert journal.find(["buy", "hot"]) == []


def test_the_facts_of_one_task_are_read_alone(journal):
    assert [recorded.fact for recorded in journal.facts_of("t")] == [QUEUED, BEGAN, RETURNED]
    assert [*journal.facts_of("other")] == []


@pytest.mark.parametrize(("start", "ids"), [("", ["t", "u"]), ("u", ["u"]), ("x", []), ("%", [])])
def test_ids_are_found_by_how_they_begin(journal, start, ids):
    assert journal.ids_beginning(start) == ids


def test_children_are_known_by_what_they_say(journal):
    """And nobody else is, whatever stands in a text."""
    child = Queued(at=5.0, task="c", name="x", parent='t"1')
    follower = Queued(at=6.0, task="f", name="x", after="c")
    liar = Queued(at=7.0, task="l", name='"parent":"t\\"1"', parent="u")
    journal.append(entries(child, follower, liar, first=9))

    assert [recorded.fact for recorded in journal.kin_of('t"1')] == [child, follower]


def test_a_newer_releases_facts_are_kept_as_they_are(journal):
    raw = b'{"fact":"of the future","at":1.0}'
    journal.append([("9-0", raw)])

    assert [*journal.facts()][-1].fact == Unknown(kind="of the future", raw=raw)


def test_one_process_writes(journal, path):
    with pytest.raises(JournalError, match="Another recorder writes the journal"):
        Journal(path, writes=True)


def test_who_writes_lets_go_in_the_end(path):
    Journal(path, writes=True).close()
    Journal(path, writes=True).close()


def test_a_sealed_journal_is_one_file(journal, path, tmp_path):
    """It is copied, and read where nothing else can be written."""
    journal.seal()
    (tmp_path / "elsewhere").mkdir()
    copy = shutil.copy(path, tmp_path / "elsewhere")
    with Journal(type(path)(copy)) as reader:
        assert Tree(recorded.fact for recorded in reader.facts()) == Tree(FACTS)

    assert [one.name for one in (tmp_path / "elsewhere").iterdir()] == [path.name]


def test_who_reads_a_journal_does_not_keep_it_from_being_sealed(journal, path):
    """It waits until they are done, which takes them a moment."""
    reader = Journal(path)
    leaving = threading.Timer(0.2, reader.close)
    leaving.start()
    journal.seal()
    leaving.join()

    assert not path.with_name(f"{path.name}-wal").exists()


# ── bad input ─────────────────────────────────────────────────────────────────────────────


def test_no_journal(path):
    with pytest.raises(JournalError, match="There is no journal at"):
        Journal(path)
    assert not path.exists()


def test_a_journal_of_a_newer_release(path):
    Journal(path, writes=True).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()

    for writes in (False, True):
        with pytest.raises(JournalError, match=r"newer release.*Upgrade firexkit"):
            Journal(path, writes=writes)


def test_what_is_no_journal(path):
    path.write_bytes(b"a text, and long enough to have a header of a hundred bytes; " * 9)
    with pytest.raises(JournalError, match=r"Can't open.*not a database"):
        Journal(path)


def test_a_fact_that_can_not_be_read_hides_no_other(journal, path):
    journal.append([("9-0", b'{"fact":"queued"'), *entries(QUEUED, first=10)])
    with Journal(path) as reader:
        assert [recorded.fact for recorded in reader.facts()] == [*FACTS, QUEUED]
        assert ["fact 5" in told for told in reader.damage] == [True]


def test_of_a_truncated_journal_what_is_there_is_read(path, tmp_path):
    with Journal(path, writes=True) as journal:
        journal.append(entries(*[Queued(at=float(n), task=f"t{n}", name="shop.buy" * 50) for n in range(2000)]))
        journal.seal()
    whole = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(whole * 2 // 3)

    with Journal(path) as reader:
        read = [*reader.facts()]
        assert 0 < len(read) < 2000
        cut_off, rest = reader.damage
    assert f"cut off after {whole * 2 // 3:,} of {whole:,} bytes" in cut_off
    assert "what follows can't be read" in rest


def test_nothing_can_be_written(tmp_path):
    with pytest.raises(JournalError, match="Can't write the journal"):
        Journal(tmp_path / "no such directory" / "journal.sqlite", writes=True)
