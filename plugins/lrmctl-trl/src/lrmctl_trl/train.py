"""The trainer's process: `python -m lrmctl_trl.train SETTINGS.json`, in the run folder.

Rows arrive rendered. They are split into tokens as lrmctl counts them, without special tokens of the tokenizer's own:
the response of a row is what follows after as many tokens as the prompt alone has, and only it has a loss.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lrmctl.backends import end_tokens
from lrmctl_trl.options import parsed_options
from lrmctl_trl.report import reporter
from lrmctl_trl.rewards import ServiceReward

_IGNORED = -100


def main(settings: Mapping[str, Any]) -> None:
    """Train a model; it is then in the folder `model.part`."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(settings["model"], trust_remote_code=settings["trust_remote_code"])
    make = {"sft": _sft, "preference": _preference, "rl": _rl}[settings["kind"]]
    trainer = make(settings, tokenizer)
    trainer.train(resume_from_checkpoint=settings["checkpoint"])
    _save(trainer, tokenizer, settings)


def _configured(settings: Mapping[str, Any], **further: Any) -> dict[str, Any]:
    given = parsed_options(settings["kind"], settings["options"])
    return {"output_dir": "checkpoints", **settings["fields"], **further, **given}


def _model(settings: Mapping[str, Any]) -> Any:
    """The weights in float32, which mixed precision computes with in the recipe's precision."""
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        settings["model"], dtype=torch.float32, trust_remote_code=settings["trust_remote_code"]
    )


def _adapter(settings: Mapping[str, Any]) -> Any:
    lora = settings["lora"]
    if lora is None:
        return None
    from peft import LoraConfig

    targets = "all-linear" if lora["targets"] == ["all-linear"] else lora["targets"]
    return LoraConfig(
        r=lora["rank"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        target_modules=targets,
        task_type="CAUSAL_LM",
    )


def _rows(file: str) -> list[dict[str, Any]]:
    path = Path(file)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def _ids(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _sft(settings: Mapping[str, Any], tokenizer: Any) -> Any:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    def tokens(row: Mapping[str, str]) -> dict[str, list[int]]:
        asked, whole = _ids(tokenizer, row["prompt"]), _ids(tokenizer, row["prompt"] + row["response"])
        return {"input_ids": whole, "labels": [_IGNORED] * len(asked) + whole[len(asked) :]}

    held = [tokens(row) for row in _rows("data/eval.jsonl")]
    return SFTTrainer(
        model=_model(settings),
        args=SFTConfig(**_configured(settings)),
        train_dataset=Dataset.from_list([tokens(row) for row in _rows("data/train.jsonl")]),
        eval_dataset=Dataset.from_list(held) if held else None,
        processing_class=tokenizer,
        peft_config=_adapter(settings),
        callbacks=[reporter(1, dict)],
    )


def _preference(settings: Mapping[str, Any], tokenizer: Any) -> Any:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    class Trainer(DPOTrainer):  # type: ignore[misc]
        """TRL's trainer with lrmctl's tokens: its own would append another end of text where the template's differs."""

        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
            return dataset

    def tokens(row: Mapping[str, str]) -> dict[str, list[int]]:
        asked = _ids(tokenizer, row["prompt"])
        sides = {side: _ids(tokenizer, row["prompt"] + row[side])[len(asked) :] for side in ("chosen", "rejected")}
        return {"prompt_ids": asked, **{f"{side}_ids": ids for side, ids in sides.items()}}

    adapter, held = _adapter(settings), [tokens(row) for row in _rows("data/eval.jsonl")]
    return Trainer(
        model=_model(settings),
        ref_model=None if adapter else _model(settings),
        args=DPOConfig(**_configured(settings)),
        train_dataset=Dataset.from_list([tokens(row) for row in _rows("data/train.jsonl")]),
        eval_dataset=Dataset.from_list(held) if held else None,
        processing_class=tokenizer,
        peft_config=adapter,
        callbacks=[reporter(1, dict)],
    )


def _rl(settings: Mapping[str, Any], tokenizer: Any) -> Any:
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    class Trainer(GRPOTrainer):  # type: ignore[misc]
        """TRL's trainer without the special tokens that a tokenizer would put before a rendered prompt again."""

        def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
            return [_ids(tokenizer, prompt) for prompt in prompts], None, {}

    ends = sorted({tokenizer.convert_tokens_to_ids(text) for text in end_tokens(Path(settings["model"]))})
    url = Path("reward-url").read_text(encoding="utf-8").strip()
    reward = ServiceReward(url, tokenizer)
    model = _model(settings)
    kept = model.generation_config.eos_token_id
    model.generation_config.eos_token_id = ends  # what ends a completion for the reward service ends it here too
    trainer = Trainer(
        model=model,
        reward_funcs=[reward],
        args=GRPOConfig(**_configured(settings)),
        train_dataset=Dataset.from_list(_rows("data/prompts.jsonl")),
        processing_class=tokenizer,
        peft_config=_adapter(settings),
        callbacks=[reporter(settings["updates"], lambda: reward.metrics)],
    )
    model.generation_config.eos_token_id = kept
    return trainer


def _save(trainer: Any, tokenizer: Any, settings: Mapping[str, Any]) -> None:
    """Save the model whole, in the precision of the run; an adapter goes beside it."""
    import torch

    model = trainer.accelerator.unwrap_model(trainer.model)
    if settings["lora"] is not None:
        model.save_pretrained("adapter")
        model = model.merge_and_unload()
    model = model.to({"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[settings["dtype"]])
    model.save_pretrained("model.part")
    type(tokenizer).from_pretrained(settings["model"]).save_pretrained("model.part")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
