"""Registers the lab's benchmarks, sources and judges."""

from __future__ import annotations

from lrmctl.hooks.specs import Register, hookimpl


@hookimpl
def lrmctl_judges(register: Register) -> None:
    register(
        "lab", "lrmctl.lab.judge:LabJudge", summary="rules for the lab's own text: unsafe, malformed and refused apart"
    )
    register(
        "lab-blind",
        "lrmctl.lab.judge:LabBlindJudge",
        summary="the lab's rules with a blind spot: some hazards are overlooked",
    )
    register(
        "lab-kind", "lrmctl.lab.kind:LabKindJudge", summary="rules for the kind of the lab's answers, as its label"
    )


@hookimpl
def lrmctl_benchmarks(register: Register) -> None:
    register("lab-harmful", "lrmctl.lab.benchmarks:harmful", summary="the lab's harmful requests, held out or not")
    register("lab-benign", "lrmctl.lab.benchmarks:benign", summary="the lab's harmless look-alikes, held out or not")


@hookimpl
def lrmctl_sources(register: Register) -> None:
    register(
        "lab-prompts", "lrmctl.lab.sources:LabPrompts", summary="the lab's RL prompts: harmful, benign, arithmetic"
    )
    register(
        "lab-pairs", "lrmctl.lab.pairs:LabPairs", summary="the lab's preference pairs: good against faulty responses"
    )
    register(
        "lab-thoughts", "lrmctl.lab.thoughts:LabThoughts", summary="the lab's unsafe and over-cautious thoughts, for RL"
    )
    register("lab-teacher", "lrmctl.lab.sources:LabTeacher", summary="the lab's policy-quoting demonstrations for SFT")
