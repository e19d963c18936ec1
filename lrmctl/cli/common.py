"""Options that several commands share, and loading a recipe of the kind that a command runs."""

from __future__ import annotations

import errno
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrmctl.cli import completion
from lrmctl.errors import DiskFullError, LrmctlError
from lrmctl.runs.names import RUNS_DIR_VARIABLE
from lrmctl.runs.output import refuse_no_folder

if TYPE_CHECKING:
    from lrmctl.planning.prices import Prices
    from lrmctl.recipe.load import LoadedRecipe


_PRICES = ("gpu_hour", "judge_in", "judge_out", "currency", "train_tokens_per_second", "eval_tokens_per_second")


def recipe_argument(*kinds: str) -> Any:
    """The argument RECIPE of a command that takes recipes of these kinds, of all kinds if none is named."""
    return typer.Argument(
        metavar="RECIPE", help="A recipe file, or a shipped name.", autocompletion=completion.recipes(*kinds)
    )


RecipeRef = Annotated[str, recipe_argument()]
On = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="MODEL",
        help="Model to train a method on: a shipped name, or a file.",
        autocompletion=completion.shipped_models(),
    ),
]
Sets = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key; repeatable.")]
TrustRemoteCode = Annotated[
    bool,
    typer.Option("--trust-remote-code", help="Run the Python code that the model's folder names. Read it first."),
]
RunsDir = Annotated[
    Path,
    typer.Option(
        "--runs-dir", envvar="LRMCTL_RUNS", callback=lambda at: use_runs_dir(at), help="Folder that holds all runs."
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        "--name", callback=lambda name: checked_name(name), help="Name of the run; the recipe's own by default."
    ),
]
RowsThinking = Annotated[
    str | None,
    typer.Option(
        "--thinking",
        metavar="FORMAT",
        help="Thinking format of single-text responses: a format's name, OPEN,CLOSE or off; detected by default.",
        autocompletion=completion.of_registry("thinking-format", "off"),
    ),
]
PriceTexts = Annotated[
    list[str] | None,
    typer.Option(
        "--price",
        metavar="KEY=VALUE",
        help="With --dry-run: gpu_hour; judge_in, judge_out (a million tokens); currency; train_tokens_per_second,"
        " eval_tokens_per_second (of a GPU). Repeatable, or with commas; LRMCTL_PRICES states them for all commands.",
        autocompletion=completion.of_words(*(f"{key}=" for key in _PRICES)),
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace the file given by --out, whatever it contains.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
RUNS = Path("runs")
_NO_PATH = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)


def load(ref: str, sets: Sequence[str] | None, *kinds: str, on: str | None = None) -> LoadedRecipe:
    """Load a recipe that must be of one of these kinds."""
    from lrmctl.api.recipes import recipe_of_kind

    return recipe_of_kind(ref, *kinds, sets=sets or (), on=on)


@contextmanager
def rows_thinking(text: str | None) -> Iterator[None]:
    """Rows are read with their thinking in the format given by `--thinking`.

    Raises:
        LrmctlError: it is not the name of a format.
    """
    from lrmctl.recipe.schema.thinking import override_of_text
    from lrmctl.thinking import assuming_format, format_of_override

    override = override_of_text(text)
    with assuming_format("off" if override == "off" else format_of_override(override)):
        yield


def use_runs_dir(folder: Path) -> Path:
    """Judges and rewards that name a run's model look for it here too, in all processes.

    Raises:
        LrmctlError: there is no folder of this name, and it cannot be created.
    """
    refuse_no_folder(folder, "--runs-dir")
    os.environ[RUNS_DIR_VARIABLE] = str(folder.absolute())
    return folder


def checked_name(name: str | None, option: str = "--name") -> str | None:
    """Check that a name given on the command line is valid in a recipe."""
    if name is None:
        return None
    from lrmctl.runs.names import check_name

    return check_name(name, option)


def prices_of(texts: Sequence[str] | None, dry_run: bool) -> Prices:
    """The prices of `--price` and the environment.

    Raises:
        LrmctlError: they cannot be read, or nothing is planned.
    """
    from lrmctl.planning.prices import Prices, stated_prices

    if not dry_run:
        if texts:
            raise LrmctlError("--price is for --dry-run", fix="add --dry-run, or leave it out")
        return Prices()
    return stated_prices(texts or ())


def command_line(*words: str, sets: Sequence[str] | None = None, runs_dir: Path = RUNS) -> str:
    """A command as a user would type it."""
    options = [word for text in sets or () for word in ("--set", text)]
    folder = [] if runs_dir == RUNS else ["--runs-dir", str(runs_dir)]
    return shlex.join(["lrmctl", *words, *options, *folder])


@contextmanager
def print_resume_command(
    command: str | Callable[[], str], started: Callable[[], bool] = lambda: True
) -> Iterator[None]:
    """If the block fails after it has started, make this command the last line that the user reads."""
    try:
        yield
    except BaseException as error:
        wrong = isinstance(error, LrmctlError) and error.exit_code == 2 and not isinstance(error, DiskFullError)
        wrong = wrong or (isinstance(error, OSError) and error.errno in _NO_PATH)  # the same again is wrong again
        if started() and not wrong:
            error.add_note(f"to continue: {command if isinstance(command, str) else command()}")
        raise
