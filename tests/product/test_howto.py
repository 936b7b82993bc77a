"""The how-to pages do what they say."""

from pathlib import Path

import pytest

from firexkit.broker_address import bare, password_in
from product.blocks import follow

HOWTO = Path(__file__).parents[2] / "docs" / "howto"
ADDRESS = "redis://valkey.example.com:6379/0"
PASSWORD = "correct horse battery staple"


@pytest.mark.parametrize("page", sorted({page.name for page in HOWTO.glob("*.md")} - {"cluster.md", "celery.md"}))
def test_a_page(page, tmp_path):
    """Whoever writes the page's files and types its commands sees what it shows."""
    follow(HOWTO / page, tmp_path)


def test_the_page_about_clusters(tmp_path, broker):
    """With a broker at hand, workers and runs find each other as the page says."""
    instead = {ADDRESS: bare(broker.url), PASSWORD: password_in(broker.url)}

    follow(HOWTO / "cluster.md", tmp_path, instead=instead)


def test_the_page_about_plain_celery(tmp_path, broker):
    """With a broker at hand, a plain app works as the page says."""
    follow(HOWTO / "celery.md", tmp_path, instead={"redis://localhost": f"'{broker.url}'"})
