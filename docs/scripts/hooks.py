"""What mkdocs calls while it builds the site: pages that the code itself fills, and docstrings as Markdown."""

from __future__ import annotations

import re

from command_page import command_page
from config_page import config_page
from mkdocs.structure.files import File
from python_pages import python_pages


def on_files(files, config):
    """Add the pages of the reference; they are in no folder."""
    pages = {"reference/config_keys.md": config_page(), "reference/command_lines.md": command_page(), **python_pages()}
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_content(html, page, config, files):
    """Docstrings may be written as for Sphinx: ``:func:`name``` is the name, a paragraph's ``::`` announces code."""
    if page.file.src_uri.startswith("reference/python/"):
        html = re.sub(r":(?:attr|class|func|meth|mod):(?=<code>)", "", html)
        html = re.sub(r"<code>~(?:\w+\.)*(\w+)</code>", r"<code>\1</code>", html)
        html = re.sub(r"<p>::</p>\s*", "", html)
    name = page.file.name
    return f'<div class="{name}">{html}</div>' if page.file.src_uri.startswith("reference/") else html
