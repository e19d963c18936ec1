"""`lrmctl reward serve` as a process of its own: the URL, Ctrl-C, a token, a reward that fails."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from lrmctl.rewards.service.protocol import encode_label
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.types import Prompt

SUM = Prompt.user("r", "What is 2 + 2?", "reasoning", reference="4")


def call() -> dict[str, list[str]]:
    label = encode_label(SUM, opened=True)
    return {
        "query": ["4?<think>\nHm.\n</think>\n\n\\boxed{4}<|im_end|>"],
        "prompts": ["4?<think>\n"],
        "labels": [label],
    }


def serve(folder: Path, *words: str, **env: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lrmctl", "reward", "serve", "lab/rl", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=folder, env={**os.environ, **env})


def first_line(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    return server.stdout.readline().strip()


@pytest.mark.e2e
def test_it_prints_the_url_serves_and_ends_at_ctrl_c(tmp_path: Path) -> None:
    for attempt in (1, 2):
        with serve(tmp_path) as server:
            url = first_line(server)
            assert httpx.post(url, json=call(), timeout=60).json()["rewards"] == 1.0
            server.send_signal(signal.SIGINT)
            _, err = server.communicate(timeout=30)
            assert server.returncode == 0
        assert "1 rollouts, 0 failed" in err
        assert "Traceback" not in err
        assert [r["attempt"] for r in read_jsonl(tmp_path / "rollouts.jsonl")] == [1, 2][:attempt]
    with pytest.raises(httpx.ConnectError):
        httpx.post(url, json=call(), timeout=60)


@pytest.mark.e2e
def test_for_other_machines_it_needs_a_token_which_may_be_given(tmp_path: Path) -> None:
    words = ("--host", "0.0.0.0", "--reached-as", "127.0.0.1")
    with serve(tmp_path, *words, "--token-env", "MINE", MINE="a-secret") as server:
        url = first_line(server)
        assert url.endswith("/a-secret/reward")
        assert httpx.post(url.replace("/a-secret", ""), json=call(), timeout=60).status_code == 401
        assert httpx.post(url, json=call(), timeout=60).status_code == 200
        server.terminate()
        server.communicate(timeout=30)
        assert server.returncode == 0


@pytest.mark.e2e
def test_a_reward_that_fails_ends_it_with_its_own_words(tmp_path: Path) -> None:
    with serve(tmp_path, "--end-token", "<|im_end|>") as server:
        cut = {**call(), "query": ["?<think>\n4<|im_end|>"]}  # from the left, as OpenRLHF does with long prompts
        httpx.post(first_line(server), json=cut, timeout=60)
        _, err = server.communicate(timeout=30)
    assert server.returncode == 3
    assert "did not come back as it was sent" in err


@pytest.mark.e2e
def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        serve(tmp_path, "--port", str(taken.getsockname()[1])) as server,
    ):
        _, err = server.communicate(timeout=30)
    assert server.returncode == 2
    assert "is taken by another process" in err
