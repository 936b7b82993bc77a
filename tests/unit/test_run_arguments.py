"""Arguments of the command line and of files: words in, text by name out."""

import json
from string import ascii_letters

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firexkit.runtime.arguments.words import ArgumentError, Repeated, arguments_file, split_arguments

LAW = settings(deadline=None, max_examples=200)
NAMES = st.text("abcxyz_ABC019", min_size=1, max_size=8).filter(lambda name: name[0] in ascii_letters)


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("", {}),
        ("--name Ada", {"name": "Ada"}),
        ("--name=Ada", {"name": "Ada"}),
        ("--name=", {"name": ""}),
        ("--name=a=b", {"name": "a=b"}),
        ("--verbose", {"verbose": True}),
        ("--verbose --name Ada", {"verbose": True, "name": "Ada"}),
        ("--no-cache", {"no_cache": True}),
        ("--batch-size 3", {"batch_size": "3"}),
        ("--batch_size 3", {"batch_size": "3"}),
        ("--count -5", {"count": "-5"}),
        ("--count -.5e3", {"count": "-.5e3"}),
        ("--options -v", {"options": "-v"}),
        ("--options=--verbose", {"options": "--verbose"}),
        ("--größe 3", {"größe": "3"}),
        ("--tag a --tag b --tag", {"tag": Repeated(("a", "b", True))}),
        ("--a-b 1 --a_b 2", {"a_b": Repeated(("1", "2"))}),
        ("--name @other", {"name": "@other"}),
    ],
)
def test_words(words, arguments):
    """A name takes the word that follows, unless that begins with two dashes; without one it means true."""
    assert split_arguments(words.split()) == arguments


def test_empty_words_are_values():
    """An empty word, as the shell makes of '', is a value."""
    assert split_arguments(["--name", ""]) == {"name": ""}


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["Ada"], "'Ada' is a value without a name; write --name Ada"),
        (["a b"], "'a b' is a value without a name; write --name 'a b'"),
        (
            ["--count", "3", "4"],
            "'4' is a value without a name; write --name 4, or --count '3 4'",
        ),
        (["--count=3", "4"], "'4' is a value without a name; write --name 4, or --count '3 4'"),
        (["-count", "--x"], "'-count' stands where a name should; write two dashes: --count"),
        (["-5"], "'-5' is a value without a name; write --name -5"),
        (["--"], "'--' names no argument; write --name, with a letter first, then letters, digits, '-' and '_'"),
        (["--1st"], "'--1st' names no argument; write --name, with a letter first, then letters, digits, '-' and '_'"),
        (["--_x"], "'--_x' names no argument; write --name, with a letter first, then letters, digits, '-' and '_'"),
        (["--a.b"], "'--a.b' names no argument; write --name, with a letter first, then letters, digits, '-' and '_'"),
        (["--=3"], "'--=3' names no argument; write --name, with a letter first, then letters, digits, '-' and '_'"),
    ],
)
def test_words_that_are_no_arguments(words, problem):
    """What is no argument is told with what to write instead."""
    with pytest.raises(ArgumentError) as caught:
        split_arguments(words)

    assert caught.value.problems[0] == problem


def test_all_problems_at_once():
    """A line with several mistakes is one error, with a line for each."""
    with pytest.raises(ArgumentError) as caught:
        split_arguments(["stray", "--1st", "x", "--name", "Ada"])

    assert [line.split()[0] for line in str(caught.value).splitlines()] == ["'stray'", "'--1st'"]
    assert len(caught.value.problems) == 2


def joined(arguments):
    """Words that mean the arguments."""
    for name, value in arguments.items():
        if value is True:
            yield f"--{name}"
        elif value.startswith("--"):
            yield f"--{name}={value}"
        else:
            yield from (f"--{name.replace('_', '-')}", value)


@given(st.dictionaries(NAMES, st.just(True) | st.text()))
@LAW
def test_split_undoes_join(arguments):
    """Whatever text values are, words that are written by the rules are read as they were meant."""
    assert split_arguments(joined(arguments)) == arguments


@given(st.lists(st.text("-=ab1 @", max_size=5), max_size=8))
@LAW
def test_any_words_are_answered(words):
    """Any words are either arguments with usable names, or an ArgumentError."""
    try:
        answer = all(name.isidentifier() for name in split_arguments(words))
    except ArgumentError as error:
        answer = all(error.problems)

    assert answer


@given(NAMES, st.lists(st.text(), min_size=2))
@LAW
def test_repeated_values_are_kept(name, values):
    """Every value of a repeated name is there, in its order."""
    words = [f"--{name}={value}" for value in values]

    assert split_arguments(words) == {name: Repeated(values)}


# ── files ────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("{}", {}),
        (
            '{"count": 3, "batch-size": [1, null], "deep": {"a": 1}}',
            {"count": 3, "batch_size": [1, None], "deep": {"a": 1}},
        ),
        ('["--count", "3", "--verbose"]', {"count": "3", "verbose": True}),
        ("[]", {}),
    ],
)
def test_files(text, arguments):
    """A file is an object by name, whose values keep their JSON types, or a list of words."""
    assert arguments_file(text, "more.json") == arguments


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "more.json is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("3", 'more.json: write a JSON object like {"count": 3}, or a list like ["--count", "3"]'),
        ('["--count", 3]', 'more.json: write a JSON object like {"count": 3}, or a list like ["--count", "3"]'),
        ('["stray"]', "more.json: 'stray' is a value without a name; write --name stray"),
        (
            '{"1st": 1}',
            "more.json: '1st' names no argument; write --name, with a letter first, then letters, digits, '-' and '_'",
        ),
        ('{"a": 1, "a": 2}', "more.json: 'a' is there twice; keep one"),
        ('{"deep": {"a": 1, "a": 2}}', "more.json: 'a' is there twice; keep one"),
        ('{"a-b": 1, "a_b": 2}', "more.json: 'a_b' is there twice, with dashes and with underscores; keep one"),
    ],
)
def test_files_that_hold_no_arguments(text, problem):
    """What can't be used is told with the file's name."""
    with pytest.raises(ArgumentError) as caught:
        arguments_file(text, "more.json")

    assert str(caught.value) == problem


def test_endless_nesting():
    """A file that is nested too deeply to be read is an error like any other."""
    with pytest.raises(ArgumentError, match=r"^more\.json"):
        arguments_file("[" * 100_000, "more.json")


@given(st.dictionaries(NAMES, st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers())))
@LAW
def test_files_keep_values(values):
    """An object of valid names is read as it was written."""
    assert arguments_file(json.dumps(values), "f") == values
