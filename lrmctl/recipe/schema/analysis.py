"""What a study says of the analysis of its arms' thinking."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lrmctl.recipe.schema.engines import Dtype, EngineSection
from lrmctl.recipe.schema.sections import Positive, Section


class JudgedSection(Section):
    """Anything for which a judge reads text again."""

    judge: str
    judge_options: dict[str, Any] = {}


class TransitionsSection(JudgedSection):
    judge: str
    """Judges each segment of the thinking by itself; any judge that judges thinking."""
    by: Literal["paragraph", "reflection"] = "paragraph"
    """Thoughts are cut at blank lines, or before each word of the lexicon."""
    lexicon: str = "self-correction"
    """Says which segments begin with a reflection."""
    max_traces: Positive = 512
    """Traces per prompt kind."""


class ConfirmSection(Section):
    """A model reads the surroundings of each hit of a lexicon and says whether it takes back what was said before."""

    model: str
    """A local folder, a hub id, `run:NAME`; for a server, the name that it knows the model by."""
    engine: str | dict[str, Any] = "hf"
    """`hf`, `vllm`, `openai`, or a mapping `{use: openai, base_url: ...}`, as of a judge."""
    lexicon: str = "self-correction"
    """Whose hits are asked about."""
    characters: Positive = 600
    """Of the thought that are shown on each side of a hit."""
    max_traces: Positive = 128
    """Traces per prompt kind."""


class _ContinuedSection(Section):
    judge: str = ""
    """Judges the answers to harmful and benign prompts; the evaluation's judge by default."""
    judge_options: dict[str, Any] = {}
    samples: Positive = 1
    """Answers from each place."""
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Of the answers; the temperature of the trace by default."""
    max_new_tokens: Positive = 512
    """Length limit of what is generated from each place, in tokens."""
    engine: EngineSection | None = None
    """What generates; transformers in this process by default. It has to continue given text: not a chat server."""
    max_traces: Positive = 64
    """Traces per prompt kind; each costs `samples` x places generations."""


class EarlySection(_ContinuedSection):
    """Answers from a thought that is cut short: does the thought decide the answer, and where?"""

    by: Literal["paragraph", "reflection"] = "paragraph"
    """Thoughts are cut at blank lines, or before each word of the lexicon."""
    lexicon: str = "self-correction"
    max_cuts: Positive = 10
    """Places in one thought at which it is cut, its beginning and its end beside; spread evenly if there are more."""


class RecoverySection(_ContinuedSection):
    """Thinking that goes on from the beginning of an unsafe thought: does the model find back?"""

    tokens: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (0, 20, 50, 100, 200)
    """Tokens of the unsafe thought that are forced."""
    thoughts: str = ""
    """Whose unsafe thoughts, an evaluated run or a file of rows with thoughts; those of `--base`, or else of the run
    itself, by default."""


class AnalysisSection(Section):
    lexicons: tuple[str, ...] = ("cyclicreflex", "lab")
    """Word lists of reflection, counted as whole words in any case (CyclicReflex's source counts bare token ids)."""
    confirm: ConfirmSection | None = None
    """A model confirms hits of a lexicon; costs a question for each hit."""
    entropy: bool = True
    """Exact token entropy of thinking, in nats, from a forward pass with the model's own logits at T=1."""
    entropy_lexicon: str = "cyclicreflex"
    """At whose words entropy is looked at apart."""
    against_base: bool = True
    """The model of `--base` reads the same tokens: divergence and log-ratio to it, and what became less certain."""
    top_k: Annotated[int, Field(ge=1, le=1_000)] = 20
    """Most likely tokens whose probability is added up; a server gives as many log-probabilities."""
    max_traces: Positive = 512
    """Traces per prompt kind that the entropy pass reads."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] = "auto"
    """Where the entropy pass runs: `cpu`, `cuda` (every GPU, each with a copy of the model) or one as `cuda:1`."""
    dtype: Dtype = "float32"
    """Of its weights; `auto` is float32 on CPU and bfloat16 on CUDA, which costs some digits."""
    trust_remote_code: bool = False
    """Run the Python code in the folders of the model and its base, in every part. Read that code first."""
    engine: EngineSection | None = None
    """A server that gives log-probabilities of given text, where the weights are not here: bounds of entropy then."""
    transitions: TransitionsSection | None = None
    """How thoughts move between safe and unsafe, segment by segment; costs a judgement for each segment."""
    early: EarlySection | None = None
    """Where in the thought the answer is decided, from answers to thoughts that are cut short."""
    recovery: RecoverySection | None = None
    """Safety after the beginning of an unsafe thought is forced, against its length."""

    @model_validator(mode="after")
    def _once(self) -> AnalysisSection:
        if len(set(self.lexicons)) < len(self.lexicons):
            raise ValueError("a lexicon is named twice in `lexicons`")
        return self
