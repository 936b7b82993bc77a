"""A bug that is known and not mended: this test fails."""

import unittest

from words.casing import title_case


class TitleCase(unittest.TestCase):
    """What ``title_case`` makes of texts."""

    def test_an_apostrophe_ends_no_word(self) -> None:
        """``don't`` is one word."""
        self.assertEqual(title_case("don't panic"), "Don't Panic")
