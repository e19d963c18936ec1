"""Root causes, on logs of real failures (`recorded/fail-*`, shortened)."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrmctl.backends.triage import diagnose

RECORDED = Path(__file__).parent / "recorded"


@pytest.mark.parametrize(
    ("name", "what", "fix"),
    [
        ("module", "the Python module 'flash_attn' is missing", "pip install"),
        ("weights", "weights cannot be read: SafetensorError: Error while deserializing header", "checkpoint"),
        ("tokenizer", "tokenizer cannot be loaded: json.decoder.JSONDecodeError: Expecting property name", "log"),
        ("config", "the model cannot be loaded: Unrecognized model in /models/tiny", "model:"),
        ("port", "a port that the trainer needs is taken", "MASTER_PORT"),
        ("memory", "the machine ran out of memory", "micro_batch_size"),  # after an import error that was caught
        ("disk", "the disk is full", "free some space"),
        ("arch", "what TORCH_CUDA_ARCH_LIST names", "without letters"),
        ("busy", "the machine is too busy", "fewer jobs"),
    ],
)
def test_the_first_root_cause_is_found_in_real_logs(name: str, what: str, fix: str) -> None:
    log = RECORDED / f"fail-{name}.txt"
    error = diagnose(log, 1)
    assert what in error.what
    assert fix in error.fix
    assert (error.where, error.exit_code) == (str(log), 3)


ACTOR = """\
\x1b[36m(PolicyModelActor pid=12)\x1b[0m Traceback (most recent call last):
\x1b[36m(PolicyModelActor pid=12)\x1b[0m   File "actor.py", line 3, in fit
\x1b[36m(PolicyModelActor pid=12)\x1b[0m ZeroDivisionError: float division by zero
Traceback (most recent call last):
  File "train.py", line 9, in <module>
ray.exceptions.RayTaskError(ZeroDivisionError): \x1b[36mray::PPOTrainer.fit()\x1b[39m (pid=11, ip=127.0.0.1)
ray.exceptions.ActorDiedError: The actor died because of an error raised in its creation task
"""


def test_what_ray_wraps_around_an_error_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(ACTOR)
    assert diagnose(tmp_path / "log", 1).what == "ZeroDivisionError: float division by zero"


def test_errors_that_were_only_printed_are_no_cause(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("Warning: ValueError: ignored\nOSError: harmless, was caught\nthe end\n")
    assert diagnose(tmp_path / "log", 1).what == "the trainer ended with code 1: the end"


@pytest.mark.parametrize(("code", "what"), [(137, "killed"), (143, "from outside"), (1, "it wrote nothing")])
def test_without_a_word_in_the_log_the_exit_code_speaks(tmp_path: Path, code: int, what: str) -> None:
    assert what in diagnose(tmp_path / "none", code).what
