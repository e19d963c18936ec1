"""Files that lrmctl generates for users: plugin packages, a CI workflow, and requirements for OpenRLHF on CPU."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from lrmctl.errors import NotFoundError, RunExistsError
from lrmctl.scaffold.new_plugin import NewPlugin, PluginKind, new_plugin

__all__ = ["NewPlugin", "PluginKind", "ci_workflow", "cpu_overrides", "new_plugin", "write_ci_workflow"]


def cpu_overrides() -> str:
    """Requirements for `uv pip install --overrides` to install OpenRLHF without CUDA."""
    return (files(__name__) / "cpu-overrides.txt").read_text(encoding="utf-8")


def ci_workflow() -> str:
    """A GitHub Actions workflow for a repository of recipes and plugins."""
    from lrmctl.doctor import OPENRLHF

    text = (files(__name__) / "ci-workflow.yml").read_text(encoding="utf-8")
    return text.replace("{openrlhf}", OPENRLHF)


def write_ci_workflow(out: Path) -> Path:
    """Write the workflow to a new file, creating its folders.

    Raises:
        RunExistsError: the file exists.
        NotFoundError: the file or its folder cannot be created.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("x", encoding="utf-8") as file:
            file.write(ci_workflow())
    except FileExistsError:
        raise RunExistsError(f"{out} is already there", fix="name another file with --out, or remove it") from None
    except OSError as error:
        raise NotFoundError(f"{out} cannot be written: {error.strerror}") from None
    return out
