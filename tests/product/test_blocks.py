"""What makes the tests of pages fail: blocks that nobody does, and output that is not as shown."""

import pytest

from product.blocks import blocks_of, follow, matches


@pytest.fixture
def page(tmp_path):
    """`page(text)` is a page with this text, in a place of its own."""

    def made(text):
        path = tmp_path / "page.md"
        path.write_text(text)
        return path

    return made


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("one\ntwo", "one\ntwo\n"),
        ("one\n…\nfour", "one\ntwo\nthree\nfour"),
        ("…\nfour", "four"),
        ("it took …", "it took long"),
        ("12:00:00 ✔ greet succeeded (0.01 s)", "23:59:59 ✔ greet succeeded (12 s)"),
        (f"FireX-ada-301231-120000-{'0' * 32}", f"FireX-root-261122-000001-{'a1' * 16}"),
        ("pid 01234567-89ab-cdef-0123-456789abcdef", "pid fedcba98-7654-3210-fedc-ba9876543210"),
        ("SUCCESS      0.5 s  nop", "SUCCESS     10.5 s  nop"),
    ],
)
def test_what_varies_may_differ(shown, printed):
    """Ids, times, padding, and what the page leaves out."""
    assert matches(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [("one", "two"), ("one", "one\ntwo"), ("one\ntwo", "one"), ("one\n…\nfour", "one\nthree"), ("  one", "one")],
)
def test_all_else_may_not(shown, printed):
    """Every other line counts, and so does its indentation."""
    assert not matches(shown, printed)


def test_a_page_is_done_in_order(page, tmp_path):
    """Files are written and replaced, variables and directories stay, errors count as output."""
    follow(
        page(
            '```python title="a/one.py"\nprint(1)\n```\n\n```sh\nexport NAME=ada\ncd a\n```\n\n'
            '```sh\npython one.py\necho "$NAME" >&2\npwd\n```\n\n```text\n1\nada\n/home/ada/a\n```\n'
        ),
        tmp_path / "home",
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```sh\necho two\n```\n\n```text\none\n```\n", "page.md:2 prints something else"),
        ("```sh\nfalse\n```\n", "page.md:2: exit code 1"),
        ("```python\n1\n```\n", "page.md:2: neither a file nor commands, and not told why"),
        ("```text\none\n```\n", "page.md:2: text that no command above it prints"),
        ("```sh\ntrue\n```\n\nSo:\n\n```text\none\n```\n", "page.md:8: text that no command above it prints"),
    ],
)
def test_a_page_that_is_wrong(page, tmp_path, text, complaint):
    """The test of a page says which block is wrong, and how."""
    with pytest.raises(AssertionError, match=complaint):
        follow(page(text), tmp_path / "home")


def test_what_is_not_done_has_a_reason(page, tmp_path):
    """The comment above a block keeps it from being done."""
    text = "<!-- not run: it would never end -->\n```sh\nsleep infinity\n```\n"
    follow(page(text), tmp_path / "home")

    assert [block.reason for block in blocks_of(page(text))] == ["it would never end"]
