"""Letters change their case as they should."""

import unittest

from words.casing import snake_case


class SnakeCase(unittest.TestCase):
    """What ``snake_case`` makes of names."""

    def test_each_capital_begins_a_word(self) -> None:
        """An underscore goes before every capital but the first."""
        self.assertEqual(snake_case("CamelCase"), "camel_case")
