"""Logs that come in chunks: into the run's directory, whatever is lost, doubled or wrong."""

from __future__ import annotations

import os

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firexkit.journal import logs
from firexkit.journal.logs import MOST_BYTES, MOST_OF_A_LOG, Chunk, entries_of, what_is_new, write
from firexkit.journal.model import Began, Lost, Returned
from firexkit.journal.tree import Tree
from firexkit.runtime.shipping import Shipment, read_on, spans

PLACE = "second@host/work.child_1.html"


def written(directory, *chunks):
    """What is in the file after chunks came."""
    for at, text in chunks:
        write(directory, Chunk(place=PLACE, at=at, text=text))
    return (directory / PLACE).read_bytes()


def test_chunks_make_the_file(tmp_path):
    assert written(tmp_path, (0, b"one "), (4, b"two")) == b"one two"
    assert (tmp_path / PLACE).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / PLACE).parent.stat().st_mode & 0o777 == 0o700


@given(st.binary(max_size=60), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=20))
def test_whatever_comes_twice_is_written_once(text, pieces):
    """Any chunks of one text that leave no gap make its beginning."""
    got = b""
    for start, length in pieces:
        at = min(start, len(got))
        got += what_is_new(Chunk(place=PLACE, at=at, text=text[at : at + length]), len(got))

    assert text.startswith(got)


@given(st.integers(0, 500), st.integers(1, 500), st.binary(min_size=1, max_size=9))
def test_after_a_gap_everything_stands_at_its_place(size, missing, text):
    new = what_is_new(Chunk(place=PLACE, at=size + missing, text=text), size)

    assert (len(new), new[missing:]) == (missing + len(text), text)


def test_a_gap_is_told_to_readers(tmp_path):
    page = written(tmp_path, (0, b"begun"), (5005, b"goes on"))

    assert page.startswith(b"begun\n[here 5,000 bytes of the log were lost on their way]\n<!--")
    assert page.endswith(b"-->\ngoes on")


@pytest.mark.parametrize(
    "place",
    [
        *("", "/", "a", "a/", "/a", "../a", "a/..", "./a", "a/b/c", "a/.hidden", ".hidden/a", "a/b\0", "a/b\n", "ä/b"),
        f"a/{'b' * 256}",
    ],
)
def test_a_place_that_is_none_is_refused(tmp_path, place):
    with pytest.raises(ValueError, match="no place"):
        write(tmp_path, Chunk(place=place, text=b"!"))

    assert list(tmp_path.iterdir()) == []


def test_links_are_not_followed(tmp_path):
    """Neither one in the place of the worker's directory, nor one in that of the file."""
    logs_dir, elsewhere = tmp_path / "logs", tmp_path / "elsewhere"
    logs_dir.mkdir()
    elsewhere.mkdir()
    (logs_dir / "w").symlink_to(elsewhere)
    (logs_dir / "v").mkdir()
    (logs_dir / "v" / "a").symlink_to(elsewhere / "a")

    for place in ("w/a", "v/a"):
        with pytest.raises(OSError, match=r"directory|symbolic"):
            write(logs_dir, Chunk(place=place, text=b"!"))
    assert list(elsewhere.iterdir()) == []


def test_where_a_log_is(tmp_path):
    """Where the worker wrote it if that is in the run's directory, else where it comes to."""
    own = str(tmp_path / "mc@host" / "t_1.html")

    assert logs.local_log(tmp_path, own) == tmp_path / "mc@host" / "t_1.html"
    assert logs.local_log(tmp_path, "/far/w@other/t_2.html") == tmp_path / "w@other" / "t_2.html"


def test_small_chunks_travel_together():
    chunks = [Chunk(place=PLACE, at=at, text=b"x" * (MOST_BYTES // 4)) for at in range(10)]
    entries = [msgspec.msgpack.decode(entry, type=list[Chunk]) for entry in entries_of(chunks)]

    assert [len(entry) for entry in entries] == [4, 4, 2]
    assert [chunk for entry in entries for chunk in entry] == chunks


def test_which_logs_are_to_come(tmp_path):
    """Those of bodies that ended elsewhere and could say so, at the time of the last."""
    far, own = "/far/w@other/t_1.html", str(tmp_path / "mc@host" / "t_2.html")

    def body(task, log, end, at=2.0, attempt=1):
        began = Began(at=1.0, task=task, attempt=attempt, name="t", log=log)
        return [began, *([end(at=at, task=task, attempt=attempt)] if end else [])]

    facts = [
        *(*body("a", far, Returned), *body("a", far, Returned, 5.0, 2), *body("b", own, Returned)),
        *(*body("c", "/far/w@other/c", None), *body("d", "/far/w@other/d", Lost), *body("e", "", Returned)),
    ]

    assert logs.awaited_of(Tree(facts), tmp_path) == {"w@other/t_1.html": 5.0}


# ── a log on its way ──────────────────────────────────────────────────────────────────────


def arrived(directory, *chunks):
    for chunk in chunks:
        write(directory, chunk)
    return next(directory.glob("*/*")).read_bytes()


def test_a_log_is_sent_as_it_grows(tmp_path):
    log = tmp_path / "w" / "t.html"
    log.parent.mkdir()
    none, shipment = read_on(Shipment(log), MOST_BYTES, 0)
    log.write_bytes(b"begun ")
    first, shipment = read_on(shipment, MOST_BYTES, 0)
    log.write_bytes(b"begun and ended")
    last, shipment = read_on(shipment, MOST_BYTES, 7.0)

    assert (none, shipment.is_whole) == ([], True)
    assert [(chunk.at, chunk.text, chunk.ended) for chunk in first + last] == [
        (0, b"begun ", 0),
        (6, b"and ended", 0),
        (15, b"", 7.0),
    ]


def test_a_log_that_never_was_is_over_with_its_task(tmp_path):
    chunks, shipment = read_on(Shipment(tmp_path / "w" / "t"), MOST_BYTES, 7.0)

    assert (chunks, shipment.is_whole) == ([], True)


def test_no_more_is_sent_than_there_is_room_for(tmp_path):
    """And the end is not told before all was sent."""
    log, run = tmp_path / "w" / "t.html", tmp_path / "run"
    log.parent.mkdir()
    run.mkdir()
    log.write_bytes(os.urandom(3 * MOST_BYTES + 5))
    shipment, looks = Shipment(log), []
    while not shipment.is_whole:
        chunks, shipment = read_on(shipment, 2 * MOST_BYTES, 7.0)
        looks.append(chunks)

    assert [sum(len(chunk.text) for chunk in chunks) for chunks in looks] == [2 * MOST_BYTES, MOST_BYTES + 5]
    assert arrived(run, *(chunk for chunks in looks for chunk in chunks)) == log.read_bytes()


def test_a_log_that_is_too_long_is_cut_and_its_end_is_sent(tmp_path):
    """The end is where it says what failed. Where all of it is stands in between."""
    log, run = tmp_path / "w" / "t.html", tmp_path / "run"
    log.parent.mkdir()
    run.mkdir()
    log.write_bytes(b"x" * (MOST_OF_A_LOG + 10))
    running, shipment = read_on(Shipment(log), 2 * MOST_OF_A_LOG, 0)
    with log.open("ab") as file:
        file.write(b"y" * (3 * MOST_BYTES) + b"ValueError")
    ended, shipment = read_on(shipment, MOST_BYTES, 7.0)
    text = arrived(run, *running, *ended)

    assert text[:MOST_OF_A_LOG] == b"x" * MOST_OF_A_LOG
    note, rest = text[MOST_OF_A_LOG:].split(b"\n[the end of the log:]\n")
    assert note.strip().startswith(b"[cut here: 16,777,216 bytes of a log are sent at most; all of it is in ")
    assert str(log).encode() in note
    assert rest == log.read_bytes()[-MOST_BYTES:]
    assert (ended[-1].ended, shipment.is_whole) == (7.0, True)


@given(st.integers(0, 2 * MOST_OF_A_LOG), st.integers(0, 2 * MOST_OF_A_LOG))
def test_every_byte_before_the_cut_is_sent_once(first, second):
    """Whenever it is looked at."""
    sizes = sorted((first, second))
    seen = [span for span in spans(Shipment(None), sizes[0], is_over=False) if not span.note]
    read = seen[-1].end if seen else 0
    seen += [span for span in spans(Shipment(None, read=read), sizes[1], is_over=True) if not span.note]

    assert [span.start for span in seen] == [0, *(span.end for span in seen)][: len(seen)]
    assert (seen[-1].end if seen else 0) == min(sizes[1], MOST_OF_A_LOG)
    assert all(span.end - span.start <= MOST_BYTES for span in seen)
