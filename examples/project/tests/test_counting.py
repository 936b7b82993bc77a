"""Words are counted right."""

import unittest

from words.counting import frequencies


class Frequencies(unittest.TestCase):
    """What ``frequencies`` tells."""

    def test_words_are_counted(self) -> None:
        """Each word has its number."""
        self.assertEqual(frequencies("to be or not to be"), {"to": 2, "be": 2, "or": 1, "not": 1})

    def test_case_does_not_matter(self) -> None:
        """A word at the beginning of a sentence is the same word."""
        self.assertEqual(frequencies("The the"), {"the": 2})
