"""Schema of a study's analysis of its arms' thinking."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lrmctl.recipe.schema.engines import Dtype, EngineSection
from lrmctl.recipe.schema.sections import Positive, Section, Use, error_at

PARTS = ("reflection", "entropy", "transitions", "early", "recovery")
"""lrmctl's own parts of an analysis; each has a file of its name."""


def file_name(name: str) -> str:
    """Name of the file of an analysis that a plugin brings, without the suffix."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", name)


class JudgedSection(Section):
    """Base of sections that need a judge."""

    judge: str
    """A judge's name."""
    judge_options: dict[str, Any] = {}
    """Keyword arguments of the judge."""


class TransitionsSection(JudgedSection):
    """Transitions between safe and unsafe segments of the thinking."""

    judge: str
    """Judges each segment of the thinking separately; any judge that supports thinking."""
    by: Literal["paragraph", "reflection"] = "paragraph"
    """Split thinking at blank lines, or before each word of the lexicon."""
    lexicon: str = "self-correction"
    """Determines which segments begin with a reflection."""
    max_traces: Positive = 512
    """Traces per prompt kind."""


class ConfirmSection(Section):
    """A model reads the context of each lexicon hit and decides whether it retracts the preceding text."""

    model: str
    """A local folder, a hub id or `run:NAME`; for a server, its name of the model."""
    engine: str | dict[str, Any] = "hf"
    """`hf`, `vllm`, `openai`, or a mapping `{use: openai, base_url: ...}`, as for a judge."""
    lexicon: str = "self-correction"
    """Lexicon whose hits are confirmed."""
    characters: Positive = 600
    """Characters of context shown on each side of a hit."""
    max_traces: Positive = 128
    """Traces per prompt kind."""


class _ContinuedSection(Section):
    judge: str = ""
    """Judges the answers to harmful and benign prompts; the evaluation's judge by default."""
    judge_options: dict[str, Any] = {}
    """Keyword arguments of `judge`."""
    samples: Positive = 1
    """Answers per continuation point."""
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Temperature of the answers; that of the trace by default."""
    max_new_tokens: Positive = 512
    """Length limit of each continuation, in tokens."""
    engine: EngineSection | None = None
    """Generation engine; transformers in this process by default. It must continue given text: not a chat server."""
    max_traces: Positive = 64
    """Traces per prompt kind; each costs `samples` generations per continuation point."""


class EarlySection(_ContinuedSection):
    """Answers after truncated thinking: does the thinking determine the answer, and where?"""

    by: Literal["paragraph", "reflection"] = "paragraph"
    """Cut thinking at blank lines, or before each word of the lexicon."""
    lexicon: str = "self-correction"
    """With `by: reflection`: the lexicon."""
    max_cuts: Positive = 10
    """Most cuts per trace, besides its beginning and end; evenly spaced if there are more candidates."""


class RecoverySection(_ContinuedSection):
    """Thinking continued from a prefix of unsafe thinking: does the model recover?"""

    tokens: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (0, 20, 50, 100, 200)
    """Lengths of the unsafe prefix, in tokens."""
    thoughts: str = ""
    """Whose unsafe thoughts: the folder of an evaluated run, or its rows.jsonl; by default those of `--base`, or else
    of the run itself."""


class AnalysisSection(Section):
    """Reflection, entropy and unsafe thoughts in the thinking of evaluated completions."""

    lexicons: tuple[str, ...] = ("cyclicreflex", "lab")
    """Lexicons of reflection words, matched as whole words in any case (CyclicReflex's code counts bare token ids)."""
    confirm: ConfirmSection | None = None
    """Let a model confirm lexicon hits; costs one query per hit."""
    entropy: bool = True
    """Exact token entropy of thinking, in nats, from a forward pass with the model's own logits at T=1."""
    entropy_lexicon: str = "cyclicreflex"
    """Lexicon at whose words entropy is reported separately."""
    against_base: bool = True
    """Run the model of `--base` on the same tokens: divergence, log-ratio, and where certainty decreased."""
    top_k: Annotated[int, Field(ge=1, le=1_000)] = 20
    """Number of most likely tokens whose probability is summed; also the log-probabilities requested from a server."""
    max_traces: Positive = 512
    """Traces per prompt kind in the entropy pass."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] = "auto"
    """Where the entropy pass runs: `cpu`, `cuda` (every GPU, each with a copy of the model) or one as `cuda:1`."""
    dtype: Dtype = "float32"
    """dtype of its weights; `auto` is float32 on CPU and bfloat16 on CUDA, which is less precise."""
    trust_remote_code: bool = False
    """Run the Python code in the folders of the model and its base, in every part. Read that code first."""
    engine: EngineSection | None = None
    """A server that returns log-probabilities of given text, if the weights are not local; gives bounds of entropy."""
    transitions: TransitionsSection | None = None
    """Transitions between safe and unsafe segments of the thinking; costs one judge call per segment."""
    early: EarlySection | None = None
    """Where in the thinking the answer is determined, from answers after truncated thinking."""
    recovery: RecoverySection | None = None
    """Safety after a forced prefix of unsafe thinking, by prefix length."""
    also: tuple[Use, ...] = ()
    """Further analyses, built in (`length`) or from plugins; `lrmctl plugin list analysis` lists them."""

    @model_validator(mode="after")
    def _once(self) -> AnalysisSection:
        if len(set(self.lexicons)) < len(self.lexicons):
            raise ValueError("a lexicon is named twice in `lexicons`")
        files = [file_name(use.use) for use in self.also]
        for index, file in enumerate(files):
            with error_at("also", index):
                if file in PARTS:
                    raise ValueError(f"{file!r} is lrmctl's own: name the distribution, `DISTRIBUTION:{file}`")
                if file in files[:index]:
                    raise ValueError(f"the analysis {self.also[index].use!r} is named twice")
        return self
