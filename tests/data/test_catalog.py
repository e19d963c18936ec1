"""The catalogue of public data sets: TOML that is checked by one schema, read file by file when a set is asked for."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from lrmctl.data.catalog import CATALOG, FILES, Catalog
from lrmctl.errors import LrmctlError

ROW = """
[mine]
license = "MIT"
columns = ["prompt"]
rows = 3
url = "https://example.org"
file = "mine/mine.csv"
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an importable package `facts`."""
    folder = tmp_path / "facts"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "facts", raising=False)
    return folder


def test_every_set_is_named_once_and_can_be_had():
    counts = Counter(name for file in FILES for name in Catalog(files=(file,)))
    assert [name for name, count in counts.items() if count > 1] == []
    assert [data.name for data in CATALOG.values() if not (data.hub or data.download)] == []
    assert len(set(CATALOG.values())) == len(CATALOG) == sum(counts.values())  # and each can be a key of a cache


def test_a_row_is_all_that_a_new_set_needs(package):
    (package / "more.toml").write_text(ROW)
    data = Catalog("facts", ("more.toml",))["mine"]
    assert (data.name, data.columns, data.rows, data.split, data.seen) == ("mine", ("prompt",), 3, "train", "code")


@pytest.mark.parametrize(
    ("wrong", "instead", "said"),
    [
        ('license = "MIT"', 'licence = "MIT"', "contains unknown field licence"),
        ('license = "MIT"\n', "", "missing required field license"),
        ("rows = 3", 'rows = "3"', "rows: expected int, got str"),
        ("rows = 3", "rows = -3", "rows: expected int >= 0"),
        ('["prompt"]', '["prompt", 3]', "columns[1]: expected str, got int"),
        ("https://example.org", "example.org", "url: expected str matching regex"),
        ("rows = 3", 'rows = 3\nseen = "rumour"', "seen: invalid enum value 'rumour'"),
        ("rows = 3", 'rows = 3\nsha256 = "abc"', "sha256: expected str matching regex"),
    ],
)
def test_a_wrong_row_is_one_error_with_file_entry_and_field(package, wrong, instead, said):
    (package / "more.toml").write_text(ROW.replace(wrong, instead))
    with pytest.raises(LrmctlError) as raised:
        Catalog("facts", ("more.toml",))["mine"]
    assert raised.value.where == "facts/more.toml: [mine]"
    assert said in raised.value.what
    assert "license, columns, rows" in raised.value.fix
    assert raised.value.exit_code == 2


@pytest.mark.parametrize(("text", "said"), [("[mine", "this is not TOML"), ("mine = 3", "not the table of an entry")])
def test_a_file_that_holds_no_entries_is_one_error(package, text, said):
    (package / "more.toml").write_text(text)
    with pytest.raises(LrmctlError, match=said) as raised:
        Catalog("facts", ("more.toml",))["mine"]
    assert raised.value.where.startswith("facts/more.toml")


def test_a_file_is_read_when_one_of_its_sets_is_asked_for_and_not_before(package):
    (package / "good.toml").write_text(ROW)
    (package / "broken.toml").write_text("[")
    catalog = Catalog("facts", ("good.toml", "broken.toml"))
    assert catalog["mine"].rows == 3
    with pytest.raises(LrmctlError, match="not TOML"):
        catalog.get("other")


def test_listing_plugins_reads_no_data_set():
    code = (
        "import tomllib; read = []; own = tomllib.loads\n"
        "tomllib.loads = lambda text: read.append(text) or own(text)\n"
        "from lrmctl.hooks import registry; registry.names()\n"
        "assert not [text for text in read if 'license =' in text]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
