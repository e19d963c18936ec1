"""`lrmctl model`: imports models; creates and checks the lab's tiny model."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from lrmctl.cli import completion
from lrmctl.cli.common import RUNS, AsJson, RunsDir, TrustRemoteCode

app = typer.Typer(help="Import a model; create and check the lab's tiny one.", no_args_is_help=True)


class WrittenDtype(StrEnum):
    """Precision of the written weights."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class Architecture(StrEnum):
    """Of the lab's tiny model."""

    llama = "llama"
    qwen3 = "qwen3"


@app.command("import")
def import_(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder, a GGUF file, an adapter, BASE+ADAPTER, run:NAME, or a hub id.",
            autocompletion=completion.runs(qualified=True),
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Folder to create; must be empty if it exists.")],
    set_template: Annotated[
        str | None,
        typer.Option(
            metavar="FILE_OR_NAME",
            help="Chat template: a jinja file, or chatml, llama-3, plain.",
            autocompletion=completion.of_words("chatml", "llama-3", "plain"),
        ),
    ] = None,
    dtype: Annotated[
        WrittenDtype, typer.Option(help="Of the written weights; auto: the source's, float32 for quantized ones.")
    ] = WrittenDtype.auto,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a model of the hub.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what an earlier import wrote to OUT.")] = False,
    trust_remote_code: TrustRemoteCode = False,
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Write a model of any common form as a plain Hugging Face folder, with the right end of text, and check it.

    Examples:
        lrmctl model import run:rl rl-model
        lrmctl model import model.gguf imported --set-template chatml
    """
    from lrmctl import console
    from lrmctl.cli.views.imported import show_imported
    from lrmctl.models.importing import ImportOptions, import_model

    options = ImportOptions(set_template, dtype.value, revision, force, trust_remote_code)
    with console.progress("import") as on_progress:
        manifest = import_model(source, out, options, runs_dir=runs_dir, on_progress=on_progress)
    if as_json:
        console.emit_json("import", {"path": out, **manifest})
    else:
        show_imported(manifest, out)


@app.command()
def tiny(
    out: Annotated[Path, typer.Argument(help="Folder to create; must be empty if it exists.")],
    seed: Annotated[int, typer.Option(help="Seed of the world, the corpus and the training.")] = 0,
    architecture: Annotated[Architecture, typer.Option(help="Of the network.")] = Architecture.llama,
    as_json: AsJson = False,
) -> None:
    """Pretrain a tiny reasoning model from scratch and check it with the gate; exit code 1 if it does not pass.

    Examples:
        lrmctl model tiny tiny
        lrmctl model tiny tiny-qwen3 --architecture qwen3 --seed 1
    """
    from lrmctl import console
    from lrmctl.lab.pretrain import make_base

    with console.progress("pretrain") as on_progress:
        manifest = make_base(out, seed, on_progress, architecture=architecture.value)
    _show_gate(manifest["gate"], out, as_json)


@app.command()
def gate(path: Annotated[Path, typer.Argument(help="Folder of a tiny model.")], as_json: AsJson = False) -> None:
    """Check whether a tiny model separates harmful from benign well enough to be trained on.

    Examples:
        lrmctl model gate tiny
    """
    from lrmctl.errors import NotFoundError
    from lrmctl.lab.gate import check_base
    from lrmctl.models.folder import problem_of

    if not path.is_dir():
        raise NotFoundError("there is no such folder", str(path), "lrmctl model tiny makes one")
    if found := problem_of(path):
        raise NotFoundError(f"no model: it {found.what}", str(path), found.fix)
    _show_gate(check_base(path).to_json(), path, as_json)


@app.command()
def widen(
    source: Annotated[str, typer.Argument(help="A Llama-type model: lab:tiny, or a folder.")],
    out: Annotated[Path, typer.Argument(help="Folder to create; must be empty if it exists.")],
    head_dim: Annotated[int, typer.Option(help="Size of an attention head.")] = 32,
) -> None:
    """Write the same model with wider attention heads: its outputs are the same; vLLM needs head sizes of 32 and
    more.

    Examples:
        lrmctl model widen lab:tiny wide --head-dim 32
    """
    from lrmctl import console
    from lrmctl.lab.widen import widen
    from lrmctl.models import resolve_model

    console.out.print(widen(resolve_model(source, Path()), out, head_dim), markup=False)


def _show_gate(gate: dict[str, Any], path: Path, as_json: bool) -> None:
    from lrmctl import console

    if as_json:
        console.emit_json("gate", {"path": path, **gate})
    else:
        figures = ", ".join(f"{name} {value:.3f}" for name, value in gate["figures"].items())
        verdict = "passes the gate" if gate["passed"] else f"does not pass the gate: {'; '.join(gate['reasons'])}"
        console.out.print(f"{path} {verdict}\n{figures}", markup=False)
    if not gate["passed"]:
        raise typer.Exit(console.FINDINGS)
