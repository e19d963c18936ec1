"""Hooks of the documentation site: links of pages that lead out of docs/ become links to the repository.

The pages are read in the repository too, where `../README.md` is right; a site has no such file.
"""

from __future__ import annotations

import re
from typing import Any

_LINK = re.compile(r"\[([^\]]+)\]\((?:\.\./)+([^)#\s]+)(?:#[^)\s]*)?\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with links out of docs/ as plain text that names the file."""
    return _LINK.sub(lambda found: f"{found[1]} (`{found[2]}` in the repository)", markdown)
