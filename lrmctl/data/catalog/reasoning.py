"""What is known of the public data sets that reasoning is measured on. Test splits: none of them is for training."""

from __future__ import annotations

from lrmctl.data.catalog.entry import DataSet

_AIME = "the problems are the Mathematical Association of America's; its page here may say otherwise"

REASONING = (
    DataSet(
        "gsm8k-test",  # arXiv 2110.14168
        license="MIT",
        columns=("question", "answer"),
        rows=1319,
        url="https://huggingface.co/datasets/openai/gsm8k",
        hub="openai/gsm8k",
        config="main",
        split="test",
        revision="740312add88f781978c0658806c59bc2815b9866",
        file="gsm8k/test.jsonl",
        seen="file",
    ),
    DataSet(
        "gsm8k-platinum",  # arXiv 2502.03461: GSM8K's test problems without the wrong and the ambiguous ones
        license="MIT",
        columns=("question", "answer"),
        rows=1209,
        url="https://huggingface.co/datasets/madrylab/gsm8k-platinum",
        hub="madrylab/gsm8k-platinum",
        config="main",
        split="test",
        file="gsm8k_platinum/test.jsonl",
        seen="card",
    ),
    DataSet(
        "aime24",
        license="not clear",
        columns=("problem", "answer"),
        rows=30,
        url="https://huggingface.co/datasets/Maxwell-Jia/AIME_2024",
        hub="Maxwell-Jia/AIME_2024",
        file="aime24/train.jsonl",
        lower=True,
        note=_AIME,
    ),
    DataSet(
        "aime25",
        license="not clear",
        columns=("problem", "answer"),
        rows=30,
        url="https://huggingface.co/datasets/math-ai/aime25",
        hub="math-ai/aime25",
        split="test",
        file="aime25/test.jsonl",
        lower=True,
        note=_AIME,
    ),
    DataSet(
        "gpqa-diamond",  # arXiv 2311.12022
        license="CC BY 4.0 as far as is known here; the owners' terms must be accepted",
        columns=("Question", "Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3"),
        rows=198,
        url="https://huggingface.co/datasets/Idavidrein/gpqa",
        hub="Idavidrein/gpqa",
        config="gpqa_diamond",
        file="gpqa/gpqa_diamond.csv",
        gated=True,
        note="its owners ask not to publish examples",
    ),
    DataSet(
        "mmlu-pro",  # arXiv 2406.01574
        license="MIT",
        columns=("question_id", "question", "options", "answer", "category"),
        rows=12_032,
        url="https://huggingface.co/datasets/TIGER-Lab/MMLU-Pro",
        hub="TIGER-Lab/MMLU-Pro",
        split="test",
        file="mmlu_pro/test.parquet",
        seen="card",
    ),
    DataSet(
        "ifeval",  # arXiv 2311.07911
        license="Apache-2.0",
        columns=("key", "prompt", "instruction_id_list", "kwargs"),
        rows=541,
        url="https://huggingface.co/datasets/google/IFEval",
        hub="google/IFEval",
        file="ifeval/ifeval_input_data.jsonl",
    ),
)
