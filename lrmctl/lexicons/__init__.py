"""Lexicons of reflection words, built in (lexicons.toml) or from plugins. Knows no traces and no files."""

from __future__ import annotations

from lrmctl.lexicons.lexicon import Hit, Lexicon, builtin_lexicons, find_lexicon, get_lexicon

__all__ = ["Hit", "Lexicon", "builtin_lexicons", "find_lexicon", "get_lexicon"]
