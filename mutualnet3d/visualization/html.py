"""What pages of HTML share: templates that escape what they are given, and data inside the page."""

from __future__ import annotations

import base64

import jinja2


def templates_of(package: str) -> jinja2.Environment:
    """The ``templates`` of ``package``; everything that is put into them is escaped, and what is missing an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def data_uri(kind: str, data: bytes) -> str:
    """``data`` of a media type such as ``image/png``, to stand in the page itself."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
