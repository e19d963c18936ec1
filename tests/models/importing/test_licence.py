"""A licence is what metadata, card or text say; what nothing says is unknown."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrmctl.models.importing.licence import joined, licence_of_folder, licence_of_gguf

APACHE = "                                 Apache License\n                           Version 2.0, January 2004\n"


def folder(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        (tmp_path / name.replace("_", ".")).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("card", "name"),
    [
        ("---\nlicense: apache-2.0\n---\n", "apache-2.0"),
        ("---\nlicense: [mit, apache-2.0]\n---\n", "mit, apache-2.0"),
        ("---\nlicense: other\nlicense_name: llama-guard\n---\n", "llama-guard"),
        ("---\nlicense: other\n---\n", "unknown"),
        ("---\nlicense: [\n---\n", "unknown"),
        ("---\n- a list\n---\n", "unknown"),
        ("# A model under the MIT licence\n", "unknown"),
    ],
)
def test_a_model_card_says_it_in_its_front_matter_only(card: str, name: str, tmp_path: Path) -> None:
    assert licence_of_folder(folder(tmp_path, README_md=card)).name == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (APACHE, "apache-2.0"),
        ("MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy", "mit"),
        ("LLAMA 3.1 COMMUNITY LICENSE AGREEMENT", "llama3.1"),
        ("Do as I say.", "unknown"),
        ("\x00\x01", "unknown"),
    ],
)
def test_a_licence_text_is_known_or_unknown(text: str, name: str, tmp_path: Path) -> None:
    found = licence_of_folder(folder(tmp_path, LICENSE=text))
    assert (found.name, "LICENSE" in found.found_in) == (name, True)


def test_the_card_goes_before_the_text_and_metadata_before_both(tmp_path: Path) -> None:
    place = folder(tmp_path, README_md="---\nlicense: mit\n---\n", LICENSE=APACHE)
    assert licence_of_folder(place).name == "mit"
    assert licence_of_gguf({"general.license": "cc-by-4.0"}, place) == ("cc-by-4.0", "general.license")
    assert licence_of_gguf({"general.license": ""}, place).name == "mit"


def test_an_adapter_and_its_base_have_one_licence_if_both_say_the_same(tmp_path: Path) -> None:
    known, none = licence_of_folder(folder(tmp_path, LICENSE=APACHE)), licence_of_folder(tmp_path / "none")
    assert joined([("adapter", known), ("base", known)]).name == "apache-2.0"
    assert joined([("adapter", known), ("base", none)]).name == "apache-2.0 (adapter), unknown (base)"
