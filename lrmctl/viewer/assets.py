"""The page's own files: script and styles, what a browser may do with them, and a page that holds the viewer alone.

The script is plain JavaScript in a few files that stand one after the other in one function; nothing builds it.
"""

from __future__ import annotations

import base64
import json
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files

from lrmctl.viewer.query import FIELDS

_SCRIPTS = ("query.js", "store.js", "entries.js", "text.js", "cards.js", "controls.js", "app.js")


@cache
def _file(name: str) -> str:
    return (files(__package__) / "page" / name).read_text(encoding="utf-8")


def script() -> str:
    """All of the viewer's JavaScript, one function that runs by itself."""
    fields = {name: {k: v for k, v in field._asdict().items() if k != "about"} for name, field in FIELDS.items()}
    body = "\n".join([f"const QUERY_FIELDS = {json.dumps(fields)};", *(_file(name) for name in _SCRIPTS)])
    return f'"use strict";\n(() => {{\n{body}\n}})();\n'


def colors() -> str:
    """CSS variables of light and dark, which the report's figures and tables use too."""
    return _file("colors.css")


def style() -> str:
    """CSS of the viewer; needs `colors`."""
    return _file("viewer.css")


def content_hash(text: str) -> str:
    """The source expression of a content security policy that allows exactly this script or style."""
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"


def policy(*, styles: str, connect: str = "'none'") -> str:
    """The content security policy of a page with the viewer.

    Args:
        styles: sources of `style-src`.
        connect: whom the script may ask.
    """
    return (
        f"default-src 'none'; script-src {content_hash(script())}; style-src {styles}; img-src data:; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'"
    )


def standalone_page(title: str, *, index: str = "", chunks: str = "", live: bool = False) -> str:
    """A page that holds the viewer and nothing else.

    Args:
        index, chunks: traces, as `embed` makes them.
        live: the script asks the server that the page came from.
    """
    css = colors() + style()
    rules = policy(styles=content_hash(css), connect="'self'" if live else "'none'")
    source = ' data-live="1"' if live else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(rules)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f'<link rel="icon" href="data:,">\n<title>{escape(title)}</title>\n<style>{css}</style>\n</head>\n'
        f'<body class="viewer-page">\n<main id="viewer" class="viewer"{source} data-title="{escape(title)}">'
        "<noscript><p>The traces are shown by a script, and scripts are switched off in this browser.</p></noscript>"
        f"</main>\n{index}\n<script>{script()}</script>\n{chunks}\n</body>\n</html>\n"
    )
