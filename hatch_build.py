"""What PyPI shows: README.md with links that lead somewhere there.

In the repository its links are relative. Where `[project.urls]` has a `Repository`, they become absolute, to the tag of
the version; until it has one, they become plain text that names the file, and the picture is left out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_PICTURE = re.compile(r"^!\[[^\]]*\]\((?!https?://)[^)]*\)\n\n?", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?://|#)([^)\s]+)\)")


class ReadmeHook(MetadataHookInterface):  # type: ignore[misc]
    """Sets the distribution's long description."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add `readme`, which pyproject.toml declares as dynamic."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        repository = metadata.get("urls", {}).get("Repository", "")
        where = f"{repository.rstrip('/')}/blob/v{metadata['version']}" if repository else ""
        metadata["readme"] = {"content-type": "text/markdown", "text": for_pypi(text, where)}


def for_pypi(text: str, where: str) -> str:
    """The README with relative links under `where`, or as plain text if that is empty."""
    if where:
        return re.sub(r"\]\((?!https?://|#)([^)\s]+)\)", rf"]({where}/\1)", text)
    return _LINK.sub(_named, _PICTURE.sub("", text))


def _named(link: re.Match[str]) -> str:
    says_the_same = link[1] in (link[2], Path(link[2]).name, Path(link[2]).stem)
    return f"`{link[2]}`" if says_the_same else f"{link[1]} (`{link[2]}`)"
