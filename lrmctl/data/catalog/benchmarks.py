"""Public safety and over-refusal sets that models are evaluated on. AdvBench and HarmBench's validation behaviours are
among the training sets' facts, because recipes may train on them."""

from __future__ import annotations

from lrmctl.data.catalog.entry import ADVERSARIA, DataSet

_HUB = "https://huggingface.co/datasets"
_GITHUB = "https://raw.githubusercontent.com"
_BEHAVIOURS = ("Behavior", "FunctionalCategory", "SemanticCategory", "ContextString", "BehaviorID")
_STRONGREJECT = "MIT by the statement of third parties; its own licence file could not be read"

BENCHMARKS = (
    DataSet(
        "strongreject",  # arXiv 2402.10260
        license=_STRONGREJECT,
        columns=("forbidden_prompt", "category", "source"),
        rows=313,
        url="https://github.com/alexandrasouly/strongreject",
        download=f"{ADVERSARIA}/strongreject_dataset.csv",
        sha256="4dd70357e4ff8b5d0ba5ebafecab5d6dd5633ce8046e3dd1c8bd93e64de44381",
        file="strongreject/strongreject_dataset.csv",
        seen="file",
        note="25 of its prompts are AdvBench's and 12 MaliciousInstruct's",
    ),
    DataSet(
        "strongreject-small",
        license=_STRONGREJECT,
        columns=("forbidden_prompt", "category", "source"),
        rows=60,
        url="https://github.com/alexandrasouly/strongreject",
        download=f"{_GITHUB}/alexandrasouly/strongreject/main/strongreject_dataset/strongreject_small_dataset.csv",
        file="strongreject/strongreject_small_dataset.csv",
        note="no copy at a fixed commit is known: the file's hash is recorded, and cannot be compared",
    ),
    DataSet(
        "harmbench-test",  # arXiv 2402.04249
        license="MIT",
        columns=_BEHAVIOURS,
        rows=320,
        url="https://github.com/centerforaisafety/HarmBench",
        split="test",
        download=f"{ADVERSARIA}/harmbench_behaviors_text_test.csv",
        sha256="bf2bfd36f765d97cbbe27a3191b492ea76b1771e9116af80a587647831de75ce",
        file="harmbench/harmbench_behaviors_text_test.csv",
        seen="file",
    ),
    DataSet(
        "harmbench-all",
        license="MIT",
        columns=_BEHAVIOURS,
        rows=400,
        url="https://github.com/centerforaisafety/HarmBench",
        split="all",
        download=f"{ADVERSARIA}/harmbench_behaviors_text_all.csv",
        sha256="2745611872be3b2eab141e39bb328b8c1140dc3cd8d0a49da6174260d9ccbfb9",
        file="harmbench/harmbench_behaviors_text_all.csv",
        seen="file",
    ),
    DataSet(
        "jailbreakbench-harmful",  # arXiv 2404.01318
        license="MIT",
        columns=("index", "goal", "behavior", "category"),
        rows=100,
        url=f"{_HUB}/JailbreakBench/JBB-Behaviors",
        hub="JailbreakBench/JBB-Behaviors",
        config="behaviors",
        split="harmful",
        file="jbb_harmful/jbb_harmful_goals.csv",
        seen="file",  # four of the hub's columns, taken from the benchmark's published artifacts
        lower=True,
    ),
    DataSet(
        "jailbreakbench-benign",
        license="MIT",
        columns=("index", "goal", "behavior", "category"),
        rows=100,
        url=f"{_HUB}/JailbreakBench/JBB-Behaviors",
        hub="JailbreakBench/JBB-Behaviors",
        config="behaviors",
        split="benign",
        file="jbb_benign/benign-behaviors.csv",
        lower=True,
    ),
    DataSet(
        "xstest",  # arXiv 2308.01263
        license="CC BY 4.0",
        columns=("id", "prompt", "type", "label"),
        rows=450,
        url="https://github.com/paul-rottger/xstest",
        download=f"{_GITHUB}/paul-rottger/exaggerated-safety/d7bb5bd738c1fcbc36edd83d5e7d1b71a3e2d84d/xstest_prompts.csv",
        sha256="11783fb294ed017473ee53c207d71f2161c7672c8d0b037501e78387f801cb5a",
        file="xstest/xstest_prompts.csv",
        seen="file",
    ),
    DataSet(
        "wildjailbreak-eval",  # arXiv 2406.18510
        license="ODC-BY as far as is known here; the owners' terms must be accepted",
        columns=("adversarial", "data_type"),
        rows=2210,
        url=f"{_HUB}/allenai/wildjailbreak",
        hub="allenai/wildjailbreak",
        config="eval",
        reader=(("delimiter", "\t"), ("keep_default_na", False)),
        file="wildjailbreak_eval/eval.tsv",
        gated=True,
        note="the evaluation file has adversarial prompts only; vanilla ones are in the training file",
    ),
    DataSet(
        "or-bench-80k",  # arXiv 2405.20947
        license="CC BY 4.0",
        columns=("prompt", "category"),
        rows=80_359,
        url=f"{_HUB}/bench-llm/or-bench",
        hub="bench-llm/or-bench",
        config="or-bench-80k",
        file="or_bench/or-bench-80k.csv",
    ),
    DataSet(
        "or-bench-hard",
        license="CC BY 4.0",
        columns=("prompt", "category"),
        rows=1319,
        url=f"{_HUB}/bench-llm/or-bench",
        hub="bench-llm/or-bench",
        config="or-bench-hard-1k",
        file="or_bench/or-bench-hard-1k.csv",
    ),
    DataSet(
        "or-bench-toxic",
        license="CC BY 4.0",
        columns=("prompt", "category"),
        rows=655,
        url=f"{_HUB}/bench-llm/or-bench",
        hub="bench-llm/or-bench",
        config="or-bench-toxic",
        file="or_bench/or-bench-toxic.csv",
    ),
    DataSet(
        "do-not-answer",  # arXiv 2308.13387
        license="CC BY-NC-SA 4.0 by its card's text; the hub's label says Apache-2.0, which is its code's",
        columns=("id", "question", "risk_area", "types_of_harm"),
        rows=939,
        url=f"{_HUB}/LibrAI/do-not-answer",
        hub="LibrAI/do-not-answer",
        file="do_not_answer/data_en.csv",
        seen="card",
    ),
    DataSet(
        "sorry-bench-202503",  # arXiv 2406.14598
        license="SORRY-Bench's own, which forbids passing the data on",
        columns=("question_id", "category", "turns", "prompt_style"),
        rows=9240,
        url=f"{_HUB}/sorry-bench/sorry-bench-202503",
        hub="sorry-bench/sorry-bench-202503",
        file="sorry_bench_202503/question.jsonl",
        gated=True,
        note="440 prompts in 21 styles; question.jsonl alone has the 440 in their plain style",
    ),
    DataSet(
        "sorry-bench-202406",
        license="SORRY-Bench's own, which forbids passing the data on",
        columns=("question_id", "category", "turns", "prompt_style"),
        rows=9450,
        url=f"{_HUB}/sorry-bench/sorry-bench-202406",
        hub="sorry-bench/sorry-bench-202406",
        file="sorry_bench_202406/question.jsonl",
        gated=True,
        seen="card",
        note="450 prompts in 21 styles; question.jsonl alone has the 450 in their plain style",
    ),
    DataSet(
        "malicious-instruct",  # arXiv 2310.06987
        license="not stated: its repository has no licence file",
        columns=("prompt",),
        rows=100,
        url="https://github.com/Princeton-SysML/Jailbreak_LLM",
        download=f"{_GITHUB}/Princeton-SysML/Jailbreak_LLM/main/data/MaliciousInstruct.txt",
        file="malicious_instruct/MaliciousInstruct.txt",
        note="no copy at a fixed commit is known: the file's hash is recorded, and cannot be compared",
    ),
    DataSet(
        "wildguardtest",  # arXiv 2406.18495
        license="ODC-BY; the owners' terms must be accepted",
        columns=("prompt", "adversarial", "prompt_harm_label"),
        rows=1725,
        url=f"{_HUB}/allenai/wildguardmix",
        hub="allenai/wildguardmix",
        config="wildguardtest",
        split="test",
        file="wildguardtest/wildguard_test.parquet",
        gated=True,
        note="26 prompts have no label that the annotators agreed on, and are left out",
    ),
)
