"""Formats of thinking through the hook: built-in ones keep the contract, a plugin's is found, used and checked."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lrmctl.hooks import registry as shared
from lrmctl.hooks.registry import Registry
from lrmctl.testing.checks import ContractError, check_thinking_format
from lrmctl.thinking import ThinkingFormat, builtin_formats, split_text, thinking_format

PLUGIN = """
    from lrmctl import hookimpl
    from lrmctl.thinking import ThinkingFormat

    @hookimpl
    def lrmctl_thinking_formats(register):
        register("ponder", lambda: ThinkingFormat("ponder", "<ponder>", "</ponder>"), summary="of acme's models")
"""


@pytest.mark.parametrize("name", list(builtin_formats()))
def test_built_in_formats_are_registered_and_keep_the_contract(name: str) -> None:
    check_thinking_format(shared.make("thinking-format", name))


def test_a_plugins_format_is_listed_made_and_used(
    install: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    install("acme-formats", "acme_formats", PLUGIN)
    fresh = Registry()
    monkeypatch.setattr(shared, "make", fresh.make)
    monkeypatch.setattr(shared, "names", fresh.names)
    assert "ponder" in [e.name for e in fresh.names("thinking-format") if not e.builtin]
    form = thinking_format("ponder")
    check_thinking_format(form)
    assert split_text("<ponder>hm</ponder>four", opened=False, format=form).answer == "four"
    from lrmctl.lab.tokenizer import build_tokenizer
    from lrmctl.thinking import find_thinking

    tokenizer = build_tokenizer()
    tokenizer.chat_template = "{{ messages[-1].content }}<ponder>"
    found = find_thinking(tokenizer)
    assert (found.format, found.mode, found.warnings) == (form, "thinks", ())


def test_a_format_that_loses_the_answer_does_not_keep_the_contract() -> None:
    with pytest.raises(ContractError):
        check_thinking_format(ThinkingFormat("bad", "<a>", "</a>", ends=("three",)))
    with pytest.raises(ValueError, match="same marker"):
        ThinkingFormat("same", "<a>", "<a>")
