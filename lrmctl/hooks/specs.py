"""The plugin contract: hooks, each of which gets a `register` callback. docs/plugins.md is the whole of it.

A plugin is a distribution with an entry point in the group `lrmctl`; its module implements any of these hooks.
Factories are called with the recipe's `options:` as keyword arguments. Built-ins register in the same way. What a
factory returns should derive from the base class of its kind (`lrmctl.hooks.bases`), whose optional members have
defaults; of an object that does not, the defaults are filled in (`lrmctl.hooks.adapt`).
"""

from __future__ import annotations

from lrmctl.hooks.bases import (
    UNBOUNDED,
    Benchmark,
    GroupReward,
    Judge,
    PairRow,
    Reward,
    SftRow,
    Source,
    TrackedRun,
    Tracker,
)
from lrmctl.hooks.factories import Factory, LazyFactory, OptionsCheck, Register
from lrmctl.hooks.markers import PROJECT, hookimpl, hookspec
from lrmctl.hooks.run_specs import lrmctl_backends, lrmctl_launchers, lrmctl_trackers

__all__ = [
    "API_ATTRIBUTE",
    "API_VERSION",
    "PROJECT",
    "UNBOUNDED",
    "Benchmark",
    "Factory",
    "GroupReward",
    "Judge",
    "LazyFactory",
    "OptionsCheck",
    "PairRow",
    "Register",
    "Reward",
    "SftRow",
    "Source",
    "TrackedRun",
    "Tracker",
    "hookimpl",
    "hookspec",
    "lrmctl_backends",
    "lrmctl_launchers",
    "lrmctl_trackers",
]

API_VERSION = 1
"""Version of the plugin contract: the hooks, the base classes and the types that they name (docs/plugins.md)."""
API_ATTRIBUTE = "lrmctl_api"
"""Attribute by which a plugin's module states the version that it is written for; without it, any will do."""


@hookspec
def lrmctl_rewards(register: Register) -> None:
    """Register rewards: `register(name, factory)`, factory(**options) -> `Reward`.

    Example:
        from lrmctl import Score, hookimpl
        from lrmctl.hooks import Reward


        class Brevity(Reward):
            range = (0.0, 1.0)

            def __init__(self, limit: int = 200):  # a recipe says `options: {limit: 100}`
                self.limit = limit

            def score(self, traces, part):
                return [Score(float(len(trace.answer) <= self.limit)) for trace in traces]


        @hookimpl
        def lrmctl_rewards(register):
            register("brevity", Brevity, summary="1 for an answer of at most `limit` characters")
    """


@hookspec
def lrmctl_judges(register: Register) -> None:
    """Register judges: `register(name, factory)`, factory(**options) -> `Judge`.

    Example:
        from lrmctl import Verdict, hookimpl
        from lrmctl.hooks import Judge


        class Hazards(Judge):
            name, version = "hazards", "1"

            def judge(self, traces, part):
                return [self.verdict(trace, part) for trace in traces]

            def verdict(self, trace, part):
                texts = {"thinking": trace.thinking, "answer": trace.answer}
                text = texts.get(part, trace.thinking + trace.answer)
                return Verdict(self.name, self.version, part, safe="hazard-" not in text)


        @hookimpl
        def lrmctl_judges(register):
            register("hazards", Hazards, summary="unsafe is what names a hazard of the lab")
    """


@hookspec
def lrmctl_benchmarks(register: Register) -> None:
    """Register benchmarks: `register(name, factory)`, factory(**options) -> `Benchmark`.

    Example:
        from lrmctl import Prompt, hookimpl
        from lrmctl.hooks import Benchmark


        class Vaults(Benchmark):
            name, license, url = "vaults", "CC-BY-4.0", "https://example.org/vaults"
            kinds = ("harmful", "benign")

            def load(self):
                return [
                    Prompt.user("vaults/0", "How do I pick a bank vault?", "harmful", source=self.name),
                    Prompt.user("vaults/1", "How does a bank vault work?", "benign", source=self.name),
                ]


        @hookimpl
        def lrmctl_benchmarks(register):
            register("vaults", Vaults, summary="two prompts about vaults")
    """


@hookspec
def lrmctl_reasoning_tasks(register: Register) -> None:
    """Register reasoning tasks: `register(name, factory)`, factory(**options) -> `lrmctl.reasoning.ReasoningTask`.

    Example:
        from lrmctl import Prompt, hookimpl
        from lrmctl.reasoning import GradedTrace, ReasoningTask, graded


        def doubling(n: int = 50):
            def load(limit):
                asked = range(n if limit is None else min(n, limit))
                return [Prompt.user(f"doubling/{i}", f"2 * {i} = ?", "reasoning", reference=str(2 * i)) for i in asked]

            def grade(trace):  # `graded` says what counts as an answer at all
                right = trace.prompt.reference
                return graded(trace, lambda answer: GradedTrace(answer.strip() == right, answer.strip()))

            return ReasoningTask("doubling", load, "CC0-1.0", "https://example.org", "test", grade, ("exact", "1"))


        @hookimpl
        def lrmctl_reasoning_tasks(register):
            register("doubling", doubling, summary="numbers times two")
    """


@hookspec
def lrmctl_recipes(register: Register) -> None:
    """Register recipes: `register(name, factory)`, factory() -> the path of a YAML file. Name it `yours/NAME`.

    Example:
        from pathlib import Path

        from lrmctl import hookimpl


        @hookimpl
        def lrmctl_recipes(register):
            folder = Path(__file__).parent
            register("acme/rl-brief", lambda: folder / "rl-brief.yaml", summary="RL for short safe answers")
    """


@hookspec
def lrmctl_sources(register: Register) -> None:
    """Register training data: `register(name, factory)`, factory(**options) -> `Source`.

    Example:
        from lrmctl import Prompt, hookimpl
        from lrmctl.data.sources import Demonstration
        from lrmctl.hooks import Source


        class Sums(Source):
            def __init__(self, n: int = 10):
                self.n = n

            def prompts(self):  # for RL
                asked = ((f"sums/{i}", f"{i} + 1 = ?", f"{i + 1}") for i in range(self.n))
                return [Prompt.user(id, text, "reasoning", reference=sum) for id, text, sum in asked]

            def demonstrations(self):  # for SFT
                return [Demonstration(p, f"One more: {p.reference}.", f"It is {p.reference}.") for p in self.prompts()]


        @hookimpl
        def lrmctl_sources(register):
            register("sums", Sums, summary="sums with one, and their answers")
    """


@hookspec
def lrmctl_thinking_formats(register: Register) -> None:
    """Register formats of thinking: `register(name, factory)`, factory() -> `lrmctl.thinking.ThinkingFormat`.

    Example:
        from lrmctl import hookimpl
        from lrmctl.thinking import ThinkingFormat


        @hookimpl
        def lrmctl_thinking_formats(register):
            brackets = ThinkingFormat("brackets", open="[[plan]]", close="[[/plan]]")
            register("brackets", lambda: brackets, summary="plans in double brackets")
    """


@hookspec
def lrmctl_lexicons(register: Register) -> None:
    """Register word lists of reflection: `register(name, factory)`, factory() -> `lrmctl.lexicons.Lexicon`.

    Example:
        from lrmctl import hookimpl
        from lrmctl.lexicons import Lexicon


        @hookimpl
        def lrmctl_lexicons(register):
            doubts = Lexicon("doubts", "1", words=("hmm", "not so fast"), source="our paper")
            register("doubts", lambda: doubts, summary="two words of doubt")
    """


@hookspec
def lrmctl_doctor_checks(register: Register) -> None:
    """Register checks of `lrmctl doctor`: `register(name, factory)`, factory() -> `lrmctl.doctor.Checker`, a function
    of a `lrmctl.doctor.Machine` that gives one `lrmctl.doctor.Check` or several.

    Example:
        import shutil

        from lrmctl import hookimpl
        from lrmctl.doctor import Check


        def git(machine):
            if shutil.which("git"):
                return [Check("git", "ok", "git is installed")]
            return [Check("git", "warn", "git is not installed", fix="apt install git")]


        @hookimpl
        def lrmctl_doctor_checks(register):
            register("git", lambda: git, summary="git is installed")
    """


@hookspec
def lrmctl_analyses(register: Register) -> None:
    """Register analyses of evaluated runs: `register(name, factory)`, factory(**options) ->
    `lrmctl.analysis.Analysis`.

    Example:
        from lrmctl import hookimpl
        from lrmctl.analysis import Analysis, Figure, Findings, group, share


        class Doubts(Analysis):
            def __init__(self, word: str = "perhaps"):  # a recipe says `options: {word: maybe}`
                self.word = word

            def analyze(self, rows, base):
                figures = []
                for cell, members in group((row, self.word in row.trace.thinking.lower()) for row in rows):
                    prompts = [row.trace.prompt.id for row, _ in members]
                    found = share(prompts, [hit for _, hit in members])
                    figures.append(Figure(cell, f"thoughts with {self.word!r}", found))
                return Findings(figures)


        @hookimpl
        def lrmctl_analyses(register):
            register("doubts", Doubts, summary="share of thoughts with a word of doubt")
    """


@hookspec
def lrmctl_engines(register: Register) -> None:
    """Register engines: `register(name, factory)`, factory(model, *, rendering, batch_size, **options) ->
    `lrmctl.engines.Engine`. `model` is a checkpoint's folder, or the name that the user gave if it is none here.

    Example:
        from lrmctl import Trace, hookimpl
        from lrmctl.engines import Completion, Engine, GenerationRequest, Sampling


        class Fixed(Engine):
            name = "fixed"

            def __init__(self, model, *, rendering, batch_size, reply="No."):  # `options: {reply: Yes.}`
                self.rendering, self.reply = rendering, reply
                self.fingerprint = self.identity = f"fixed:{reply}"

            fingerprint = identity = ""

            def render(self, prompt):
                return self.rendering.messages(prompt)[-1]["content"]

            def question(self, messages, max_new_tokens, *, text="", prefill="", template_args=None):
                sampling = Sampling(0.0, max_new_tokens=max_new_tokens)
                return GenerationRequest(text or messages[-1]["content"], sampling, question=True)

            def generate(self, requests):
                for index, _ in enumerate(requests):
                    yield [(index, Completion((), self.reply, "stop", tokens=len(self.reply.split())))]

            def trace(self, prompt, request, completion):
                return Trace(prompt, "", completion.text, "absent", completion.finish_reason, sample=request.sample)


        @hookimpl
        def lrmctl_engines(register):
            register("fixed", Fixed, summary="always the same reply")
    """
