"""The pages of a run: links, the log template, and the files that ship for them."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from firexkit import resources
from firexkit.firexkit_common import JINJA_ENV, get_link

# ── links and pages ──────────────────────────────────────────────────────────────────────


class Page(HTMLParser):
    """What a browser would read: tags with their attributes, and the text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def hrefs(self):
        return [attrs["href"] for tag, attrs in self.tags if tag == "a"]


@pytest.mark.parametrize(
    ("arguments", "attributes", "text"),
    [
        ({"url": "/a?b=1&c=2"}, {"href": "/a?b=1&c=2"}, "/a?b=1&c=2"),
        ({"url": "/a", "text": '<b>it\'s</b> & "so"'}, {"href": "/a"}, '<b>it\'s</b> & "so"'),
        ({"url": '/a"onclick="b'}, {"href": '/a"onclick="b'}, '/a"onclick="b'),
        (
            {"url": "/a", "text": "t", "html_class": "x y", "title_attribute": "<hint>"},
            {"href": "/a", "class": "x y", "title": "<hint>"},
            "t",
        ),
        (
            {"url": "/a", "text": "t", "attrs": {"data-id": 7, "target": "_blank", "rel": None}},
            {"href": "/a", "data-id": "7", "target": "_blank"},
            "t",
        ),
        ({"url": "/a", "text": ""}, {"href": "/a"}, ""),
    ],
)
def test_a_link_reads_back_as_it_was_given(arguments, attributes, text):
    """Parsing the link gives the same url, attributes and text, markup in them included."""
    page = Page(get_link(**arguments))

    assert page.tags == [("a", attributes)]
    assert page.text == text


def test_other_elements_stand_before_the_text_as_they_are():
    """HTML a caller gives for inside the link stays HTML."""
    assert get_link("/a", "t", other_elements="<i></i>") == '<a href="/a"><i></i>t</a>'


@pytest.mark.parametrize("name", ["", "a b", "x>", "on=", "a'b", 'a"b', "a/b", "1a", "a\n"])
def test_q25_attribute_names_are_checked(name):
    """A name that would end the attribute, or start another, is refused."""
    with pytest.raises(ValueError, match="name of an HTML attribute"):
        get_link("/a", attrs={name: "v"})


def task_log(**changes):
    values = {
        "firex_id": "FireX-me-1",
        "firex_stylesheet": "../resources/firex.css",
        "logo": "../resources/firex_logo.png",
        "link_for_logo": "/run?a=1&b=2",
        "header_main_title": "greet <name>",
        "worker_log_url": "../mc.html#greet",
        "worker_name": "mc@host",
        "worker_hostname": "host",
    }
    return JINJA_ENV.get_template("log_template.html").render({**values, **changes})


def test_a_task_log_page_shows_its_values_and_stays_open():
    """The page escapes what it shows, links what it knows, and ends where records start."""
    html = task_log()
    page = Page(html)

    assert "greet <name>" in page.text
    assert "mc@host on host" in page.text
    assert page.hrefs() == ["/run?a=1&b=2", "../mc.html#greet"]
    assert html.endswith("<pre>")


@pytest.mark.parametrize("name", ["task_flame_url", "code_url", "support_location_link"])
def test_optional_links_appear_when_given(name):
    """A task log page has each optional link if its url is known."""
    assert "/the-link" in Page(task_log(**{name: "/the-link"})).hrefs()


def test_a_worker_log_page_links_all_logs():
    """A worker's page links the directory of all logs, not itself."""
    page = Page(task_log(worker_log=True, logs_dir_url="/logs"))

    assert page.hrefs() == ["/run?a=1&b=2", "/logs"]


def test_a_page_without_values_is_still_a_page():
    """In a plain worker nothing is known about the run, and the page has no broken link."""
    page = Page(JINJA_ENV.get_template("log_template.html").render())

    assert {tag for tag, _ in page.tags}.isdisjoint({"a", "img", "link"})


# ── resources ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (resources.get_resource_filepath("/run/resources", "a.js"), "/run/resources/a.js"),
        (resources.get_resource_filepath("/run/resources", "a.js", "/run/logs/mc"), "../../resources/a.js"),
        (resources.get_firex_css_filepath("/run/resources"), "/run/resources/firex.css"),
        (resources.get_firex_logo_filepath("/run/resources", "/run"), "resources/firex_logo.png"),
    ],
)
def test_resource_paths_are_joined_and_made_relative(path, expected):
    """A resource's path is its directory and name, seen from where the caller wants."""
    assert path == expected


def test_the_packaged_install_config_has_no_viewer():
    """The configuration for cloud CI ships, and asks for nothing."""
    config = json.loads(Path(resources.get_cloud_ci_install_config_path()).read_text())

    assert config == {"viewer_templates": {}, "requested_tracking_services": [], "submit_args": {}}


def test_the_logo_ships_as_a_png():
    """The logo of the documented name is a real picture."""
    logo = Path(resources.get_packaged_install_config_path("firex_logo.png")).read_bytes()

    assert logo.startswith(b"\x89PNG\r\n\x1a\n")


CSS_CLASSES = (
    "debug info warning error print exception task_started task_completed command command_line command_output hidden "
    "header header-row header-link uid"
)


@pytest.mark.parametrize("name", CSS_CLASSES.split())
def test_the_stylesheet_knows_each_documented_class(name):
    """A page may use every class of the contract."""
    stylesheet = Path(resources.get_packaged_install_config_path("firex.css")).read_text()

    assert any(line.split(" ")[0].rstrip(",") == f".{name}" for line in stylesheet.splitlines())
