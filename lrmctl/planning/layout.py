"""Which role runs on which GPUs of which node, from the recipe alone.

OpenRLHF leaves the exact choice to Ray, which packs; the indices here are those of packing on nodes of equal size.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lrmctl.recipe.schema.preference import PreferenceRecipe
from lrmctl.recipe.schema.recipes import OfflineRecipe, RlRecipe

NODE_GPUS = 8
"""GPUs per node, unless the recipe asks for more on one node."""


@dataclass(frozen=True)
class PlacedRole:
    """One role of a run.

    Attributes:
        gpus: total number of GPUs; 0 means CPU only.
        where: `node0:0-7` for each node.
        group: roles of the same group share their GPUs.
        note: a remark for the reader.
    """

    name: str
    gpus: int
    where: tuple[str, ...]
    group: str
    note: str = ""


@dataclass(frozen=True)
class Placement:
    """All roles of a run, and the GPUs and nodes that they occupy together."""

    roles: tuple[PlacedRole, ...]
    gpus: int
    nodes: int
    colocated: bool

    def role(self, name: str) -> PlacedRole | None:
        return next((r for r in self.roles if r.name == name), None)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def placement(recipe: OfflineRecipe | RlRecipe, device: str) -> Placement:
    """Where each role of a recipe runs.

    Args:
        device: `cuda` or `cpu`; on CPU every role is a process of the one host.
    """
    if device == "cpu":
        return _on_cpu(recipe)
    return _rl(recipe) if isinstance(recipe, RlRecipe) else _offline(recipe)


def has_reference(recipe: RlRecipe) -> bool:
    return recipe.algorithm.kl.coef > 0


def has_critic(recipe: RlRecipe) -> bool:
    return recipe.algorithm.name == "ppo"


def separate_engines(recipe: RlRecipe) -> bool:
    """Whether rollout engines have their own GPUs; asynchronous engines never share the actor's."""
    return recipe.layout.placement == "separate" or recipe.rollout.mode != "sync"


def rollout_gpus(recipe: RlRecipe) -> int:
    """GPUs of all rollout engines together."""
    own = recipe.layout.rollout_gpus if recipe.layout.placement == "separate" else None
    return own or recipe.layout.nodes * recipe.layout.gpus


def _on_cpu(recipe: OfflineRecipe | RlRecipe) -> Placement:
    names = ["trainer"]
    if isinstance(recipe, RlRecipe):
        names = ["actor", "rollout engine", *_extra(recipe), "reward service", "controller"]
    return Placement(tuple(PlacedRole(n, 0, ("host",), "host") for n in names), 0, 1, True)


def _extra(recipe: RlRecipe) -> list[str]:
    return ["reference"] * has_reference(recipe) + ["critic"] * has_critic(recipe)


def _offline(recipe: OfflineRecipe) -> Placement:
    layout = recipe.layout
    spots = _GpuAllocator(max(NODE_GPUS, layout.gpus))
    sharding = f"data parallel, ZeRO {recipe.optimizer.zero_stage}"
    role = PlacedRole("trainer", layout.nodes * layout.gpus, spots.take(layout.nodes, layout.gpus), "trainer", sharding)
    if not isinstance(recipe, PreferenceRecipe):
        return Placement((role,), role.gpus, spots.nodes, False)
    frozen = PlacedRole("reference", role.gpus, role.where, "trainer", "frozen, in the same processes")
    return Placement((role, frozen), role.gpus, spots.nodes, True)


def _rl(recipe: RlRecipe) -> Placement:
    layout, together = recipe.layout, recipe.layout.placement == "colocated"
    spots = _GpuAllocator(max(NODE_GPUS, layout.gpus))
    shared = "actor" if together else ""
    where = spots.take(layout.nodes, layout.gpus)
    size = layout.nodes * layout.gpus
    roles = [PlacedRole("actor", size, where, "actor", f"trained, ZeRO {recipe.optimizer.zero_stage}")]
    for name in _extra(recipe):
        own = layout.reference_gpus if name == "reference" else layout.critic_gpus
        per_node = layout.gpus if together or own is None else own
        spot = where if together else spots.take(layout.nodes, per_node)
        note = "frozen, for the KL" if name == "reference" else "trained, values"
        roles.append(PlacedRole(name, layout.nodes * per_node, spot, shared or name, note))
    roles.append(_rollout(recipe, spots, where))
    roles += [
        PlacedRole("reward service", 0, ("host of lrmctl",), "host", _judges(recipe)),
        PlacedRole("controller", 0, ("host of the first node",), "host", "one process, no GPU"),
    ]
    return Placement(tuple(roles), spots.used, spots.nodes, together)


def _rollout(recipe: RlRecipe, spots: _GpuAllocator, shared: tuple[str, ...]) -> PlacedRole:
    total, tensor = rollout_gpus(recipe), recipe.layout.tensor_parallel
    note = f"{total // tensor} vLLM engine(s) of {tensor} GPU(s)"
    if not separate_engines(recipe):
        return PlacedRole("rollout engine", total, shared, "actor", f"{note}, asleep while others work")
    return PlacedRole("rollout engine", total, spots.take_any(total), "rollout engine", note)


def _judges(recipe: RlRecipe) -> str:
    named = [c.options.get("judge") for c in recipe.reward.components if c.use]
    judges = list(dict.fromkeys(str(j) for j in named if j))
    return f"judges in it: {', '.join(judges)}" if judges else "no judge"


class _GpuAllocator:
    """Allocates GPUs node by node, like a packing scheduler."""

    def __init__(self, node: int) -> None:
        self._node = node
        self._free: list[int] = []  # next free GPU index of each node
        self.used = 0

    @property
    def nodes(self) -> int:
        return max(1, len(self._free))

    def take(self, nodes: int, gpus: int) -> tuple[str, ...]:
        """Take `gpus` on each of `nodes` different nodes, the first ones with room."""
        found = [i for i, start in enumerate(self._free) if self._node - start >= gpus][:nodes]
        while len(found) < nodes:
            self._free.append(0)
            found.append(len(self._free) - 1)
        return tuple(self._claim(i, gpus) for i in found)

    def take_any(self, total: int) -> tuple[str, ...]:
        """Take GPUs wherever some are free, contiguous within each node."""
        spots = []
        while total:
            index = next((i for i, start in enumerate(self._free) if start < self._node), len(self._free))
            if index == len(self._free):
                self._free.append(0)
            n = min(total, self._node - self._free[index])
            spots.append(self._claim(index, n))
            total -= n
        return tuple(spots)

    def _claim(self, node: int, gpus: int) -> str:
        start = self._free[node]
        self._free[node] += gpus
        self.used += gpus
        last = start + gpus - 1
        return f"node{node}:{start}" if gpus == 1 else f"node{node}:{start}-{last}"
