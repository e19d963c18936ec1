"""A run up to its launch, without launching: what would run where, what it takes, and what the data looks like.

Takes the same path as a real run. What is not on this machine (a model, a tokenizer, a data set, a GPU) is said and
left out; nothing is downloaded and no folder is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.backends.base import Backend, TrainJob
from lrmctl.data.of_recipe import demonstrations_of, prompts_of, sources_of
from lrmctl.errors import LrmctlError, NotFoundError, RecipeError
from lrmctl.planning import PlanSummary, describe
from lrmctl.planning.derived import DataFacts
from lrmctl.planning.model_shape import ModelShape, shape_of
from lrmctl.planning.workload import Lengths
from lrmctl.preflight.trainable import trainable
from lrmctl.recipe.problems import located
from lrmctl.recipe.schema.recipes import RlRecipe, SftRecipe
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.names import check_name
from lrmctl.training.colocated import guests_of
from lrmctl.training.inputs import ResolvedJob, check_references, rows_of, samples_first, tokenizer_of
from lrmctl.types import Plan, Prompt

if TYPE_CHECKING:
    from lrmctl.backends.rows import TrainingRows
    from lrmctl.data.audit import Audit
    from lrmctl.recipe.load import LoadedRecipe

Recipe = SftRecipe | RlRecipe


@dataclass(frozen=True)
class DryRun:
    """What is known of a run before it runs.

    Attributes:
        run_dir: where it would lie.
        plan: the exact launch; its files are only counted where the rows are not known.
        audit: of the data, as far as it is here.
        example: the first rendered row; empty without a tokenizer.
        preview: what the launcher would submit, if it submits something.
        missing: what is not on this machine, one sentence each.
    """

    name: str
    run_dir: Path
    plan: Plan
    planning: PlanSummary
    audit: Audit
    example: Mapping[str, str]
    preview: str
    missing: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        files = {name: len(text.encode()) for name, text in self.plan.files.items()}
        return {
            **self.plan.to_json(),
            "name": self.name,
            "run_dir": str(self.run_dir),
            "files": files,
            **self.planning.to_json(),
            "audit": self.audit.to_json(),
            "example": dict(self.example),
            "preview": self.preview,
            "missing": list(self.missing),
        }


@dataclass(frozen=True)
class _Found:
    """What of a recipe's needs is on this machine.

    Attributes:
        told: what sources left out, where the rows could not be rendered.
        sampled_from: prompts of rejection sampling, whose demonstrations are not drawn yet.
    """

    recipe: Recipe
    backend: Backend
    model: Path | None
    rows: TrainingRows | None
    prompts: Sequence[Prompt] | None
    strips: bool
    missing: tuple[str, ...]
    told: tuple[str, ...] = ()
    sampled_from: Sequence[Prompt] = ()


def dry_run(
    loaded: LoadedRecipe,
    *,
    runs_dir: Path,
    name: str | None = None,
    model: str | None = None,
    against: LoadedRecipe | None = None,
) -> DryRun:
    """Plan a run and say everything about it.

    Args:
        against: eval recipe whose sets the training prompts are compared with; `lab/eval` for lab recipes by default.

    Raises:
        LrmctlError: what a real run would refuse too.
    """
    found = _find(loaded, runs_dir, model)
    recipe = found.recipe
    folder = RunFolder(runs_dir / (recipe.name if name is None else check_name(name, "--name")))
    here = _is_here(recipe)
    with located(loaded):
        plan = _plan(found, folder, here)
    shape = _shape(recipe.model, found.model)
    guests, uncounted = guests_of(recipe)
    planning = describe(
        recipe,
        shape,
        device=str(plan.estimates.get("device", "cuda")),
        dtype=str(plan.estimates.get("dtype", "bf16")),
        data=_data(found),
        host_memory=_host_memory() if here else None,
        critic=_critic_shape(recipe, shape, runs_dir),
        guests=guests,
    )
    return DryRun(
        folder.name,
        folder.path,
        replace(plan, notes=(*plan.notes, *_notes(found, shape, here), *uncounted)),
        planning,
        _audit(found, loaded, against),
        _example(found),
        _preview(plan, folder),
        found.missing,
    )


def sections(recipe: Recipe, model: Path, rows: TrainingRows, plan: Plan) -> dict[str, Any]:
    """What plan.json of a real run says beside the plan: layout, derived numbers, memory."""
    prompts = [a.prompt for a in rows.asked if a.kept]
    found = _Found(recipe, None, model, rows, prompts, False, ())  # type: ignore[arg-type]  # no backend is asked
    shape = _shape(recipe.model, model)
    device, dtype = str(plan.estimates.get("device", "cuda")), str(plan.estimates.get("dtype", "bf16"))
    guests, _ = guests_of(recipe)
    data, host = _data(found), _host_memory()
    planned = describe(recipe, shape, device=device, dtype=dtype, data=data, host_memory=host, guests=guests)
    return planned.to_json()


def _find(loaded: LoadedRecipe, runs_dir: Path, model: str | None) -> _Found:
    from lrmctl.hooks import registry

    loaded, recipe = trainable(loaded, model, runs_dir)
    path = local_model(recipe.model, runs_dir, recipe.trust_remote_code)
    backend = registry.make("backend", recipe.backend.name)
    missing = [*_missing_model(recipe.model, path), *_missing_data(recipe)]
    data_here = not _missing_data(recipe)
    if samples_first(recipe):
        missing.append("the rows are sampled from the model first")
        asked = prompts_of(recipe) if data_here else ()
        told = check_references(recipe.data.rejection.reward, asked)  # type: ignore[union-attr]  # it samples first
        return _Found(recipe, backend, path, None, None, False, tuple(missing), tuple(told), asked)
    if not data_here:
        return _Found(recipe, backend, path, None, None, False, tuple(missing))
    if path is None or not _has_tokenizer(path):
        prompts, notes = _unrendered(recipe)
        return _Found(recipe, backend, path, None, prompts, False, tuple(missing), tuple(notes))
    start = ResolvedJob(loaded, recipe, backend, path, tokenizer_of(path))
    rows = rows_of(start)
    return _Found(recipe, backend, path, rows, [a.prompt for a in rows.asked], _strips(start.tokenizer), tuple(missing))


def _unrendered(recipe: Recipe) -> tuple[Sequence[Prompt], Sequence[str]]:
    """The prompts of a recipe whose tokenizer is not here, and what is to be said of their rows."""
    if isinstance(recipe, RlRecipe):
        prompts = prompts_of(recipe)
        return prompts, check_references(recipe.reward, prompts)
    rows, told = demonstrations_of(recipe)
    return [row.prompt for row in rows], told


def local_model(ref: str, runs_dir: Path, trust_remote_code: bool = False) -> Path | None:
    """The folder of a model that is on this machine; None for a hub id that would be downloaded first.

    Raises:
        NotFoundError: as `lrmctl.models.resolve_model`, for what is no hub id.
    """
    from lrmctl.models import allow_code, is_hub_id, resolve_model
    from lrmctl.models.availability import hub_snapshot

    if not is_hub_id(ref):
        return resolve_model(ref, runs_dir, whole=False, trust_remote_code=trust_remote_code)
    snapshot = hub_snapshot(ref)
    if snapshot and trust_remote_code:
        allow_code(snapshot)
    return snapshot if snapshot and (snapshot / "config.json").exists() else None


def _has_tokenizer(path: Path) -> bool:
    from lrmctl.models import is_adapter
    from lrmctl.models.files import files_in
    from lrmctl.models.folder import has_tokenizer

    return has_tokenizer(files_in(path)) or is_adapter(path)


def _missing_model(ref: str, path: Path | None) -> list[str]:
    from lrmctl.models import is_hub_id
    from lrmctl.models.folder import problem_of

    if path is None:
        return [f"the model {ref} is not on this machine (fix: hf download {ref}, which a run does itself)"]
    if is_hub_id(ref):
        return (
            [] if _has_tokenizer(path) else [f"the tokenizer of {ref} is not on this machine (fix: hf download {ref})"]
        )
    found = problem_of(path)
    return [f"the model {ref} cannot be run yet: it {found.what} (fix: {found.fix})"] if found else []


def _missing_data(recipe: Recipe) -> list[str]:
    from lrmctl.data.availability import why_not_here

    return list(dict.fromkeys(filter(None, (why_not_here(use) for use in sources_of(recipe)))))


def _is_here(recipe: Recipe) -> bool:
    """Whether the run is planned for this machine: it is, unless it needs GPUs that are not here."""
    layout, device = recipe.layout, recipe.backend.device
    if recipe.launch.via != "local":
        return False
    meant_for_gpus = device == "cuda" or (
        device == "auto" and (layout.gpus * layout.nodes > 1 or layout.gpu_type is not None)
    )
    return not meant_for_gpus or _nvidia_driver()


def _nvidia_driver() -> bool:
    """Whether this machine has an NVIDIA driver, without importing torch to ask."""
    return Path("/proc/driver/nvidia/version").exists()


def _plan(found: _Found, folder: RunFolder, here: bool) -> Plan:
    recipe = found.recipe
    if found.rows is not None:
        rows: Sequence[Mapping[str, str]] = found.rows.rows
    else:
        rows = _stand_in(recipe, found.prompts)
    job = TrainJob(
        recipe,
        found.model or Path(recipe.model),
        folder.path,
        rows,
        reward_url="http://<reward service>/reward" if isinstance(recipe, RlRecipe) else "",
        eval_rows=found.rows.eval_rows if found.rows else (),
        here=here,
    )
    plan = found.backend.plan(job)
    notes = found.rows.notes if found.rows else list(found.told)
    files = plan.files if found.rows else {}
    launch = recipe.launch.model_dump(mode="json")
    return replace(plan, launch=launch, files=files, notes=(*plan.notes, *notes))


def _stand_in(recipe: Recipe, prompts: Sequence[Prompt] | None) -> Sequence[Mapping[str, str]]:
    """Rows in place of those that cannot be rendered here: as many, where that is known."""
    least = recipe.train.batch_size if isinstance(recipe, SftRecipe) else recipe.algorithm.prompts_per_step
    key = "response" if isinstance(recipe, SftRecipe) else "label"
    return ({"prompt": "", key: ""},) * max(least, len(prompts or ()))


def _shape(ref: str, path: Path | None) -> ModelShape | LrmctlError:
    try:
        return shape_of(ref, path)
    except (RecipeError, NotFoundError) as error:
        return error


def _critic_shape(recipe: Recipe, shape: ModelShape | LrmctlError, runs_dir: Path) -> ModelShape | None:
    ref = recipe.algorithm.critic.model if isinstance(recipe, RlRecipe) else None
    if ref is None or isinstance(shape, LrmctlError):
        return None
    found = _shape(ref, local_model(ref, runs_dir))
    return None if isinstance(found, LrmctlError) else found


def _data(found: _Found) -> DataFacts:
    kinds = Counter[str](p.kind for p in found.prompts) if found.prompts is not None else None
    if found.rows is None:
        return DataFacts(rows=len(found.prompts) if found.prompts is not None else None, kinds=kinds)
    kept = [a for a in found.rows.asked if a.kept]
    tokens = sum(a.tokens for a in kept)
    lengths = Lengths(found.rows.longest or None)
    return DataFacts(len(found.rows.rows), kinds, len(found.rows.eval_rows), tokens if kept else None, lengths)


def _host_memory() -> int:
    import psutil

    return int(psutil.virtual_memory().total)


def _notes(found: _Found, shape: ModelShape | LrmctlError, here: bool) -> list[str]:
    said = [] if here else ["planned for another machine: its devices, versions and paths are not checked here"]
    longest = found.recipe.data.max_len if isinstance(found.recipe, SftRecipe) else found.recipe.max_len
    if isinstance(shape, ModelShape) and shape.max_positions and longest > shape.max_positions:
        said.append(f"max_len {longest} is more than the model's {shape.max_positions} positions: the run is refused")
    if found.rows is None and isinstance(found.recipe, SftRecipe):
        said.append("steps are known when the rows are")
    return [*said, *_unrewarded(found)]


def _unrewarded(found: _Found) -> list[str]:
    """Prompts that are there and that nothing is added up for; `recipe validate` can only say which kinds."""
    if not isinstance(found.recipe, RlRecipe) or not found.prompts:
        return []
    kinds = Counter(p.kind for p in found.prompts if p.kind in found.recipe.reward.uncovered)
    return [f"{n} {kind} prompts always get a reward of 0: no component covers them" for kind, n in kinds.items()]


def _audit(found: _Found, loaded: LoadedRecipe, against: LoadedRecipe | None) -> Audit:
    from lrmctl.data.audit import RenderedRows, audit
    from lrmctl.evaluation.prompts import evaluation_prompts

    sets, unseen = evaluation_prompts(loaded, against)
    unaudited = [*unseen, *(f"not audited: {why}" for why in found.missing)]
    if found.rows is None:
        asked = found.prompts or found.sampled_from
        return audit(asked, None, sets if asked else {}, unaudited)
    from lrmctl.trace import closes_thinking, opens_thinking

    rows = found.rows.asked
    thinking = [] if found.recipe.thinking == "off" else list(found.rows.rows)
    thinking = [row for row in thinking if not closes_thinking(row.get("prompt", ""))]
    first = thinking[0] if thinking else {}

    rendered = RenderedRows(
        sizes=[(a.prompt_tokens, a.tokens) for a in rows],
        kept=[a.kept for a in rows],
        responses=[row["response"] for row in thinking if "response" in row],
        opened=opens_thinking(first.get("prompt", "")),
        merged=found.rows.merged,
        strips=found.strips,
    )
    return audit([a.prompt for a in rows], rendered, sets, unaudited)


def _strips(tokenizer: Any) -> bool:
    """Whether the chat template takes the thinking out of a past assistant turn."""
    from lrmctl.models.chat import render_chat

    mark = "a thought to look for"
    turns = [("user", "q"), ("assistant", f"<think>\n{mark}\n</think>\n\na"), ("user", "q")]
    messages = [{"role": role, "content": content} for role, content in turns]
    return mark not in render_chat(tokenizer, messages, generate=False, whole=())


def _example(found: _Found) -> Mapping[str, str]:
    return dict(found.rows.rows[0]) if found.rows and found.rows.rows else {}


def _preview(plan: Plan, folder: RunFolder) -> str:
    from lrmctl.backends.launch.base import LaunchJob, launcher

    return launcher(plan.launch).preview(LaunchJob.of(plan, folder.path, folder.logs / "attempt-1" / "output.log"))
