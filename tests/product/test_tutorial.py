"""The tutorial does what it says, from the first block to the last."""

from pathlib import Path

from product.blocks import blocks_of, follow

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"


def test_the_tutorial(tmp_path):
    """A reader who writes its files and types its commands sees what it shows."""
    follow(TUTORIAL, tmp_path, below="words")


def test_every_block_is_done():
    """All but one: what sets up the environment."""
    skipped = [block for block in blocks_of(TUTORIAL) if block.reason is not None]

    assert [block.text.splitlines()[0] for block in skipped] == ["make venv"]
