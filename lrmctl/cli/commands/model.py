"""`lrmctl model`: creates and checks the lab's tiny model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lrmctl.cli.common import AsJson

app = typer.Typer(help="The lab's tiny reasoning model.", no_args_is_help=True)


@app.command()
def tiny(
    out: Annotated[Path, typer.Argument(help="Folder to create; must be empty if it exists.")],
    seed: Annotated[int, typer.Option(help="Seed of the world, the corpus and the training.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Pretrain a tiny reasoning model from scratch and check it with the gate; exit code 1 if it does not pass."""
    from lrmctl import console
    from lrmctl.lab.pretrain import make_base

    with console.progress("pretrain") as on_progress:
        manifest = make_base(out, seed, on_progress)
    _show_gate(manifest["gate"], out, as_json)


@app.command()
def gate(path: Annotated[Path, typer.Argument(help="Folder of a tiny model.")], as_json: AsJson = False) -> None:
    """Check whether a tiny model separates harmful from benign well enough to be trained on."""
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
    more."""
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
