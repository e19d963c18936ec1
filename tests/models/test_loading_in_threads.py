"""Threads that load at the same time, in a process that has imported transformers nowhere before."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import sys, threading
from lrmctl.lab import base_path
from lrmctl.models import load_model, load_tokenizer

errors = []

def run(load):
    try:
        load(base_path())
    except Exception as error:
        errors.append(str(error))

assert "transformers" not in sys.modules
threads = [threading.Thread(target=run, args=(load,)) for load in (load_tokenizer, load_model) * 4]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not errors, errors
"""


@pytest.mark.e2e
@pytest.mark.timeout(300)
def test_tokenizers_and_weights_load_beside_each_other() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
