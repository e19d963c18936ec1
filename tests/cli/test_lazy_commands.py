"""The table of commands says what the commands say, and naming one imports no other."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import typer

from lrmctl.cli.app import COMMANDS, app


@pytest.mark.parametrize("name", COMMANDS)
def test_the_summary_is_the_first_sentence_of_the_commands_help(name: str) -> None:
    group: Any = typer.main.get_command(app)
    command = group.get_command(None, name)
    assert command.name == name
    assert command.help.replace("\n", " ").startswith(COMMANDS[name].summary)


def test_a_command_imports_no_other_command() -> None:
    code = (
        "import sys; from lrmctl.cli.app import app; app(['plugin', 'list', '--help'], standalone_mode=False);"
        "print([m for m in sys.modules if m.startswith('lrmctl.cli.commands.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "['lrmctl.cli.commands.plugin']"
