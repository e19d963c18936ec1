"""Checks whether what a recipe needs is on this machine: model, tokenizer, data, GPUs. Downloads nothing.

A dry run plans without what is missing and lists it.
"""

from __future__ import annotations

from pathlib import Path

from lrmctl.data.of_recipe import sources_of
from lrmctl.recipe.schema.recipes import OfflineRecipe, RlRecipe


def local_model(ref: str, runs_dir: Path, trust_remote_code: bool = False) -> Path | None:
    """The folder of a model on this machine; None for a hub id that must be downloaded first.

    Raises:
        NotFoundError: as `lrmctl.models.resolve_model`, for anything but a hub id.
    """
    from lrmctl.models import allow_code, is_hub_id, resolve_model
    from lrmctl.models.availability import hub_snapshot

    if not is_hub_id(ref):
        return resolve_model(ref, runs_dir, whole=False, trust_remote_code=trust_remote_code)
    snapshot = hub_snapshot(ref)
    if snapshot and trust_remote_code:
        allow_code(snapshot)
    return snapshot if snapshot and (snapshot / "config.json").exists() else None


def has_tokenizer(path: Path) -> bool:
    """Whether a model's folder has a tokenizer, or is an adapter, which uses its base's."""
    from lrmctl.models import folder, is_adapter
    from lrmctl.models.files import files_in

    return folder.has_tokenizer(files_in(path)) or is_adapter(path)


def missing_model(ref: str, path: Path | None) -> list[str]:
    """What is missing to run a model, one sentence each.

    Args:
        path: as returned by `local_model`.
    """
    from lrmctl.models import is_hub_id
    from lrmctl.models.folder import problem_of

    if path is None:
        return [f"the model {ref} is not on this machine (fix: hf download {ref}, which a run does itself)"]
    if is_hub_id(ref):
        lacking = f"the tokenizer of {ref} is not on this machine (fix: hf download {ref})"
        return [] if has_tokenizer(path) else [lacking]
    problem = problem_of(path)
    return [f"the model {ref} cannot be run yet: it {problem.what} (fix: {problem.fix})"] if problem else []


def missing_data(recipe: OfflineRecipe | RlRecipe) -> list[str]:
    """The data sets that a run would need to download, one sentence each."""
    from lrmctl.data.availability import unavailable_reason

    return list(dict.fromkeys(filter(None, (unavailable_reason(use) for use in sources_of(recipe)))))


def fits_this_machine(recipe: OfflineRecipe | RlRecipe) -> bool:
    """Whether a run can start on this machine: it is launched locally, and the GPUs it needs are here."""
    layout, device = recipe.layout, recipe.backend.device
    if recipe.launch.via != "local":
        return False
    several = layout.gpus * layout.nodes > 1 or layout.gpu_type is not None
    needs_gpu = device == "cuda" or (device == "auto" and several)
    return not needs_gpu or _nvidia_driver()


_DRIVER = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg")
"""Any of these says that there is an NVIDIA driver: the first is hidden in some containers, WSL has only the last."""


def _nvidia_driver() -> bool:
    """Whether this machine has an NVIDIA driver, without importing torch."""
    return any(Path(file).exists() for file in _DRIVER)
