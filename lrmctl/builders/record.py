"""What exactly is built, for the lock file, and whether a folder holds this build already."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lrmctl.builders.tasks import completions_file
from lrmctl.data.sources import provenance
from lrmctl.errors import RunExistsError
from lrmctl.recipe.function_ref import fingerprints
from lrmctl.recipe.lock import recipe_hash, write_lock
from lrmctl.rows.files import file_sha256
from lrmctl.runs.damage import part_of, read_object
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.lineage import lineage_of

if TYPE_CHECKING:
    from lrmctl.builders.plan import PlannedBuild
    from lrmctl.engines.base import Engine
    from lrmctl.recipe.load import LoadedRecipe

_FILES = ("of", "file", "thoughts")
"""Options of a builder that name a file or a run."""


@dataclass(frozen=True)
class Record:
    """The model, sources and judges of a build.

    Attributes:
        model: `ref`, `fingerprint`, and for a folder its `path`.
        sources: origin, licence and sha256 of each source and file.
        judges: name, version, options and part of each judge in `keep:`.
    """

    loaded: LoadedRecipe
    builder: str
    model: Mapping[str, Any]
    sources: Sequence[Mapping[str, Any]]
    judges: Sequence[Mapping[str, Any]]
    template_sha256: str

    @classmethod
    def of(
        cls, planned: PlannedBuild, engine: Engine, model: Path | str, judges: Sequence[Mapping[str, Any]]
    ) -> Record:
        """The record of a planned build."""
        from lrmctl.models import model_facts

        recipe = planned.recipe
        facts = {"fingerprint": engine.fingerprint} if isinstance(model, str) else model_facts(model)
        template = str(getattr(engine.tokenizer, "chat_template", ""))
        return cls(
            planned.loaded,
            recipe.build.use,
            {"ref": recipe.model, **facts},
            [*provenance(recipe.prompts), *_files(recipe.build)],
            judges,
            hashlib.sha256(template.encode()).hexdigest(),
        )

    def write(self, folder: RunFolder, **facts: Any) -> None:
        """Write the recipe and the lock file."""
        text = yaml.safe_dump(self.loaded.resolved, sort_keys=False, allow_unicode=True)
        folder.recipe.write_text(text, encoding="utf-8")
        write_lock(
            folder.lock,
            self.loaded,
            model=dict(self.model),
            lineage=_lineage(self.model, self.loaded.recipe.seed),
            template_sha256=self.template_sha256,
            sources=list(self.sources),
            judges=list(self.judges),
            **facts,
        )

    def summary(self) -> dict[str, Any]:
        """The part of `summary.json` that is known before anything is drawn."""
        recipe: Any = self.loaded.recipe
        reward = recipe.keep.reward
        return {
            "name": recipe.name,
            "description": recipe.description,
            "builder": self.builder,
            "model": dict(self.model),
            "seed": recipe.seed,
            "sampling": recipe.sampling.model_dump(mode="json"),
            "judges": list(self.judges),
            "reward": ", ".join(component.label for component in reward.components) if reward else "",
            "sources": list(self.sources),
        }


def claim(folder: RunFolder, record: Record) -> bool:
    """Whether the folder holds this build, finished.

    Raises:
        RunExistsError: it holds another run, or this one with another recipe, model or data.
    """
    if not folder.lock.exists():
        return False
    with part_of(folder.lock):
        lock = read_object(folder.lock)
        same = {
            "the recipe": lock["recipe_sha256"] == recipe_hash(record.loaded),
            "the model": lock["model"]["fingerprint"] == record.model["fingerprint"],
            "the data": lock.get("sources") == list(record.sources),
            "a judge": lock.get("judges") == list(record.judges),
            "a function file": lock.get("functions", {}) == fingerprints(record.loaded.resolved),
        }
    if other := [what for what, equal in same.items() if not equal]:
        raise RunExistsError(
            f"the name {folder.name!r} is taken by a run in which {other[0]} differs",
            str(folder.lock),
            "choose another --name, or delete it with `lrmctl run rm`",
        )
    return folder.status().get("state") == "done" and (folder.path / "summary.json").is_file()


def _files(build: Any) -> list[dict[str, Any]]:
    """Origin of the files that a builder's options name."""
    named = {key: getattr(build, key, None) for key in _FILES}
    told = []
    for key, value in named.items():
        if not value:
            continue
        path = completions_file(value, f"build.{key}") if key != "file" else Path(value).expanduser()
        told.append({"use": f"build.{key}", "options": {}, "file": value, "sha256": file_sha256(path)})
    return told


def _lineage(model: Mapping[str, Any], seed: int) -> dict[str, Any]:
    if "path" in model:
        return lineage_of(model, seed)
    return {"base": {"ref": model["ref"], "fingerprint": model["fingerprint"]}, "seed": seed, "stages": []}
