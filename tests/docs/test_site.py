"""The documentation site is built without a warning, needs nothing from elsewhere, and no link of it is broken."""

import contextlib
import importlib
import json
import logging
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

import mutualnet3d as mn
from mutualnet3d.config import get_cfg
from mutualnet3d.config.supported import REFUSED, leaves

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs" / "scripts"))
pytestmark = pytest.mark.filterwarnings("default")  # of the libraries that build the site

import command_page  # noqa: E402
import config_page  # noqa: E402
import make_pictures  # noqa: E402
import python_pages  # noqa: E402


class Page(HTMLParser):
    """What a page links to, what it loads, and the places in it that links can name."""

    def __init__(self, text: str):
        super().__init__()
        self.links, self.loads, self.places, self.text = [], [], set(), ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.places.update(found[name] for name in ("id", "name") if found.get(name))
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag == "link" and found.get("rel") != "canonical":
            self.loads.append(found["href"])
        if "src" in found:
            self.loads.append(found["src"])

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        said: list[str] = []
        listener = logging.Handler(logging.WARNING)
        listener.emit = lambda record: said.append(record.getMessage())
        logging.getLogger("mkdocs").addHandler(listener)
        with contextlib.suppress(Abort):  # what strict does; the messages say more
            build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder)))
        logging.getLogger("mkdocs").removeHandler(listener)
    assert said == []
    return folder


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}


def test_links_and_anchors(site, pages):
    broken = []
    for path, page in pages.items():
        for target in (*page.links, *page.loads):
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            base = site if path.name == "404.html" else path.parent
            goal = (base / unquote(parts.path).lstrip("/")).resolve() if parts.path else path
            goal = goal / "index.html" if goal.is_dir() else goal
            anchors = pages[goal].places if goal in pages else ()
            if not goal.is_file() or (parts.fragment and unquote(parts.fragment) not in anchors):
                broken.append((path.relative_to(site).as_posix(), target))
    assert broken == []


def test_links_to_elsewhere_are_well_formed(pages):
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                assert (parts.scheme, bool(re.fullmatch(r"[\w-]+(\.[\w-]+)+", parts.netloc))) == ("https", True), path
                assert not re.search(r"[\s<>\"]", link), (path, link)


def test_nothing_is_fetched_from_elsewhere(site, pages):
    for path, page in pages.items():
        assert [load for load in page.loads if urlsplit(load).netloc] == [], path
    for path in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", path.read_text(encoding="utf-8")), path


def test_every_page_of_docs_is_there(site):
    for path in (ROOT / "docs").rglob("*.md"):
        assert (site / path.relative_to(ROOT / "docs")).with_suffix(".html").is_file(), path
    assert not list(site.rglob("*.py"))


def test_every_key_has_its_row(pages, site):
    text = (site / "reference" / "config_keys.html").read_text(encoding="utf-8")
    shown = set(re.findall(r"<tr>\s*<td><code>([\w.]+)</code></td>", text))
    expected = {key for key, _ in leaves(get_cfg()) if not key.startswith(config_page.OPEN_NODES)}
    assert shown == expected


def test_own_keys_are_explained():
    """Each with a comment that stands in defaults.py, and its default."""
    rows = dict(re.findall(r"^\| `(\S+)` \| (.+) \|$", config_page.config_page(), re.MULTILINE))
    for key, value in config_page.own_keys().items():
        default, _, comment = rows[key].partition(" | ")
        assert len(comment) > 10, f"{key} has no comment in mutualnet3d/config/defaults.py"
        assert default.strip('`"') == str(value).replace("'", ""), key
    for key in REFUSED:
        assert "*refused*" in rows[key]


def test_comments_of_yaml():
    text = "A:  # of A\n  B: 1  # one\n     # and more\n  C: {D: 2}\nE: 3\n"
    assert config_page.Comments.of(text).by_key == {"A": "of A", "A.B": "one and more"}


def test_command_lines_are_those_of_the_tools(pages, site):
    """Every option of every tool, as its parser has them."""
    text = " ".join(pages[site / "reference" / "command_lines.html"].text.split())
    for name in {path.name for path in (ROOT / "tools").glob("*.py")}:
        assert f"$ python tools/{name} --help usage: {name}" in text
    assert "$ python -m mutualnet3d.evaluation.ava_map --help usage: python -m mutualnet3d.evaluation.ava_map" in text
    for command, main in command_page.command_lines().items():
        assert " ".join(command_page.help_of(command, main).split()) in text


def test_every_public_name_is_documented_once(pages, site):
    """The names of mutualnet3d.__all__ and of the packages' doors; nothing private."""
    folder = site / python_pages.FOLDER
    inside = {path.stem: pages[path].places for path in folder.glob("*.html")}
    for name in set(mn.__all__) - {"__version__"}:
        assert f"mutualnet3d.{name}" in inside["mutualnet3d"]
    for package in python_pages.PACKAGES:
        for name in importlib.import_module(f"mutualnet3d.{package}").__all__:
            in_door = f"mutualnet3d.{name}" in inside["mutualnet3d"]
            assert (f"mutualnet3d.{package}.{name}" in inside[package]) != in_door, name
    assert not [place for places in inside.values() for place in places if re.search(r"\._(?!_)", place)]


def test_docstrings_look_like_text(pages, site):
    """No markup of Sphinx is left over."""
    for path in (site / python_pages.FOLDER).glob("*.html"):
        assert not re.search(r":(attr|class|func|meth|mod):|``", pages[path].text), path


def test_pictures_stand_on_their_pages():
    texts = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "concepts").glob("*.md"))
    assert {path.stem for path in make_pictures.FOLDER.glob("*.png")} == make_pictures.PICTURES.keys()
    for name in make_pictures.PICTURES:
        assert f"../pictures/{name}.png" in texts


def test_the_measured_effect_of_calibration():
    """The page quotes what is drawn."""
    text = " ".join((ROOT / "docs" / "concepts" / "calibration.md").read_text(encoding="utf-8").split())
    runs = json.loads((make_pictures.FOLDER / "calibration.json").read_text())
    for rows in runs.values():
        *others, full = rows
        assert full["own"] == full["of_full"]
        own, of_full = (sum(row[key] for row in others) / len(others) for key in ("own", "of_full"))
        assert re.search(rf"{own:.1f} against {of_full:.1f} %", text)
        assert f"{full['own']:.1f}" in text
    assert len(make_pictures.draw_calibration().axes) == len(runs)
