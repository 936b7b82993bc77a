"""Log pages as text."""

from __future__ import annotations

import pytest

from firexkit.runtime.page_text import PageText, readable, text_of

HEAD = "<!doctype html>\n<html><title>x</title>\n<body><h1>a task</h1>\n<pre>\n"


def read(page, *, at_once=None):
    """The lines of a page that comes in pieces."""
    reader, size = PageText(), at_once or len(page) or 1
    lines = [line for start in range(0, len(page), size) for line in reader.lines(page[start : start + size])]
    return [*lines, *reader.rest()]


@pytest.mark.parametrize("at_once", [None, 1, 7])
def test_of_a_page_its_log_is_read(at_once):
    """Whatever the pieces in which it comes."""
    page = HEAD + '<span class="info" id="a">[12:00 INFO] 1 &lt; 2 &amp;&amp; <b>so</b></span>\n\nsecond\nno end'

    assert read(page, at_once=at_once) == ["[12:00 INFO] 1 < 2 && so", "", "second", "no end"]


def test_a_log_that_is_no_page_is_read_whole():
    """As from a worker that somebody else configured."""
    assert read("first\nsecond\n") == ["first", "second"]


def test_an_empty_page_has_no_lines():
    assert read("") == read(HEAD) == []


def test_signs_that_look_like_tags_to_nobody_stay():
    assert read("1 < 2 and 3 > 2 &lt;b&gt;\n") == ["1 < 2 and 3 > 2 <b>"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢\n\tx", "plain é 漢\n\tx"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("a\x07\x00\x9b2J", "a\\x07\\x00\\x9b2J"),
        ("a\rb", "a\\rb"),
        ("\u202eevil", "\\u202eevil"),
    ],
)
def test_nothing_is_left_that_a_terminal_would_obey(text, shown):
    assert readable(text) == shown


def test_html_that_a_task_shows_is_text_with_its_lines():
    html = "<h3>Sizes</h3><table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2 &lt; 3</td></tr></table><br>end"

    assert text_of(html).split("\n") == ["Sizes", "a\tb", "1\t2 < 3", "end"]
