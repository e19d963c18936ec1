"""The service's `/metrics` in Prometheus' text format. Each service has its own registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from lrmctl.rewards.compose import RolloutReward

__all__ = ["CONTENT_TYPE_LATEST", "ServiceMetrics"]

_VALUES = (-2.0, -1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 5.0)
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_JUDGES = (
    ("asked", "verdicts that rewards asked for"),
    ("hits", "verdicts that were there already"),
    ("batches", "calls of the judge itself"),
    ("failed", "verdicts that failed"),
    ("seconds", "seconds in the judge itself"),
)


class ServiceMetrics:
    """Counters of one service process; they restart at 0 with it, as Prometheus expects."""

    def __init__(self, components: Sequence[str]) -> None:
        self.registry = registry = CollectorRegistry()
        self._rollouts = Counter(
            "lrmctl_rollouts", "Rollouts answered", ["phase", "kind", "outcome"], registry=registry
        )
        self._reward = Histogram(
            "lrmctl_reward", "Composed reward, not normalised", ["kind"], buckets=_VALUES, registry=registry
        )
        value = Histogram(
            "lrmctl_reward_component", "A component's value", ["component"], buckets=_VALUES, registry=registry
        )
        # the library omits the sum if values may be negative, without which there is no mean
        sums = Gauge("lrmctl_reward_component_values", "Sum of a component's values", ["component"], registry=registry)
        self._components = {name: (value.labels(name), sums.labels(name)) for name in components}
        self._sum = Gauge("lrmctl_reward_values", "Sum of composed rewards", ["kind"], registry=registry)
        self._failures = Counter("lrmctl_reward_failures", "Rewards that failed", ["component"], registry=registry)
        self._seconds = Histogram(
            "lrmctl_reward_seconds", "From a rollout's arrival to its reward", buckets=_SECONDS, registry=registry
        )
        self._sizes = Histogram(
            "lrmctl_reward_batch_size", "Rollouts scored in one call", buckets=_SIZES, registry=registry
        )
        self._restarts = Counter(
            "lrmctl_reward_worker_restarts", "Scorers that were started anew", ["cause"], registry=registry
        )
        self._refused = Counter("lrmctl_reward_refused", "Calls turned away", ["why"], registry=registry)
        self._cached: dict[tuple[str, str, str], Counter] = {}

    def watch(
        self,
        waiting: Callable[[], float],
        workers: Callable[[], float],
        groups: Callable[[], Mapping[str, float]],
        judges: Callable[[], list[dict[str, Any]]],
    ) -> None:
        """Metrics that are computed when requested."""
        depth = Gauge("lrmctl_rollouts_waiting", "Rollouts without a reward yet", registry=self.registry)
        depth.set_function(waiting)
        ready = Gauge("lrmctl_reward_workers", "Scorers that can score", registry=self.registry)
        ready.set_function(workers)
        self.registry.register(_Looked(groups, judges))

    def rollout(self, phase: str, kind: str, reward: RolloutReward | None, failed: str, component: str) -> None:
        """Count one more rollout; `failed` is its error, `component` the one that failed."""
        outcome = "failed" if failed else "scored"
        counter = self._cached.get((phase, kind, outcome))
        if counter is None:  # looking up a label costs more than counting
            counter = self._cached[phase, kind, outcome] = self._rollouts.labels(phase, kind or "unknown", outcome)
        counter.inc()
        if failed:
            self._failures.labels(component or "none").inc()
        if reward is None:
            return
        if reward.total is not None:
            self._reward.labels(kind).observe(reward.total)
            self._sum.labels(kind).inc(reward.total)
        for name, score in reward.components.items():
            if score.value is not None:
                histogram, total = self._components[name]
                histogram.observe(score.value)
                total.inc(score.value)

    def answered(self, seconds: float) -> None:
        self._seconds.observe(seconds)

    def batch(self, size: int) -> None:
        self._sizes.observe(size)

    def restarted(self, cause: str) -> None:
        self._restarts.labels(cause).inc()

    def refused(self, why: str) -> None:
        self._refused.labels(why).inc()

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _Looked(Collector):
    """Groups and judges, whose numbers are kept elsewhere."""

    def __init__(self, groups: Callable[[], Mapping[str, float]], judges: Callable[[], list[dict[str, Any]]]) -> None:
        self._groups, self._judges = groups, judges

    def collect(self) -> Iterator[Metric]:
        for name, value in self._groups().items():
            yield CounterMetricFamily(f"lrmctl_{name}", f"{name.replace('_', ' ')}, seen", value=value)
        yield from _judge_families(self._judges())


def _judge_families(judges: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
    sums: dict[tuple[str, str], dict[str, float]] = {}
    for judge in judges:
        into = sums.setdefault((str(judge["name"]), str(judge["version"])), {})
        for key, _ in _JUDGES:
            into[key] = into.get(key, 0.0) + float(judge[key])
    for key, says in _JUDGES:
        family = CounterMetricFamily(f"lrmctl_judge_{key}", says.capitalize(), labels=["judge", "version"])
        for names, figures in sums.items():
            family.add_metric(names, figures[key])
        yield family
