"""Public data sets that recipes train on, and those that are known only to be left out of training."""

from __future__ import annotations

from lrmctl.data.catalog.entry import ADVERSARIA, DataSet

TRAINING = (
    DataSet(
        "star-1",  # arXiv 2504.01903
        license="Apache-2.0",
        columns=("question", "response"),
        rows=1000,
        url="https://huggingface.co/datasets/UCSC-VLAA/STAR-1",
        hub="UCSC-VLAA/STAR-1",
        file="star1/STAR-1.json",
        seen="file",
    ),
    DataSet(
        "star-benign",  # arXiv 2504.01903
        license="Apache-2.0",
        columns=("question", "response"),
        rows=915,
        url="https://huggingface.co/datasets/UCSC-VLAA/STAR-benign-915",
        hub="UCSC-VLAA/STAR-benign-915",
        file="star_benign/STAR-benign-915.json",
    ),
    DataSet(
        "safechain",  # arXiv 2502.12025
        license="not stated on its page; its repository is GPL-3.0",
        columns=("instruction", "response", "label"),
        rows=40_000,
        url="https://huggingface.co/datasets/UWNSL/SafeChain",
        hub="UWNSL/SafeChain",
        file="safechain/train.jsonl",
        seen="card",
    ),
    DataSet(
        "direct-refusal",  # arXiv 2503.00555
        license="not stated on its page; its repository is Apache-2.0, its prompts are BeaverTails' (CC BY-NC 4.0)",
        columns=("refusal",),
        rows=1000,
        url="https://huggingface.co/datasets/TianshengHuang/DirectRefusal",
        hub="TianshengHuang/DirectRefusal",
        file="direct_refusal/train.jsonl",
    ),
    DataSet(
        "wildjailbreak",  # arXiv 2406.18510
        license="ODC-BY as far as is known here; the owners' terms must be accepted",
        columns=("vanilla", "adversarial", "data_type"),
        rows=261_559,
        url="https://huggingface.co/datasets/allenai/wildjailbreak",
        hub="allenai/wildjailbreak",
        config="train",
        reader=(("delimiter", "\t"), ("keep_default_na", False)),
        file="wildjailbreak/train.tsv",
        gated=True,
    ),
    DataSet(
        "advbench",  # arXiv 2307.15043
        license="MIT",
        columns=("Behavior", "BehaviorID"),
        rows=520,
        url="https://github.com/llm-attacks/llm-attacks",
        download=f"{ADVERSARIA}/extra_behavior_datasets/advbench_behaviors.csv",
        sha256="0e635254df9065ae6f8d074534b660fa7a361d1ad269e2c8e1b7377961802a86",
        file="advbench/advbench_behaviors.csv",
        seen="file",
    ),
    DataSet(
        "harmbench-val",  # arXiv 2402.04249; the validation behaviours: the test ones are for evaluation
        license="MIT",
        columns=("Behavior", "FunctionalCategory", "ContextString", "BehaviorID"),
        rows=80,
        url="https://github.com/centerforaisafety/HarmBench",
        split="val",
        download=f"{ADVERSARIA}/harmbench_behaviors_text_val.csv",
        sha256="7bfaaa5e2b9b95002c89e2d33c019f58e9e8496e2fc65d368f1eeb8179e69534",
        file="harmbench/harmbench_behaviors_text_val.csv",
        seen="file",
    ),
    DataSet(
        "alpaca",
        license="CC BY-NC 4.0",
        columns=("instruction", "input"),
        rows=52_002,
        url="https://huggingface.co/datasets/tatsu-lab/alpaca",
        hub="tatsu-lab/alpaca",
        file="alpaca/train.jsonl",
        seen="card",
    ),
    DataSet(
        "gsm8k",  # arXiv 2110.14168
        license="MIT",
        columns=("question", "answer"),
        rows=7473,
        url="https://huggingface.co/datasets/openai/gsm8k",
        hub="openai/gsm8k",
        config="main",
        revision="740312add88f781978c0658806c59bc2815b9866",
        file="gsm8k/train.jsonl",
        seen="file",  # of the test split, which has the same columns
    ),
    DataSet(
        "math",  # arXiv 2103.03874
        license="MIT",
        columns=("problem", "solution"),
        rows=7500,
        url="https://huggingface.co/datasets/DigitalLearningGmbH/MATH-lighteval",
        hub="DigitalLearningGmbH/MATH-lighteval",
        revision="0530c78699ea5e8eb5530600900e1f328b48acad",
        file="math/train.jsonl",
        seen="file",  # of MATH-500, which has these and more
    ),
    DataSet(
        "math-500",  # arXiv 2305.20050; for evaluation: known here only to be left out of training
        license="MIT",
        columns=("problem", "answer"),
        rows=500,
        url="https://huggingface.co/datasets/HuggingFaceH4/MATH-500",
        hub="HuggingFaceH4/MATH-500",
        split="test",
        file="math500/test.jsonl",
        seen="file",
    ),
)
