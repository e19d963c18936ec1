"""Who may call the reward service: this machine through a plain URL, other machines only through a secret one."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import httpx

from lrmctl.recipe.schema.recipes import RewardSection
from lrmctl.rewards.service.server import RewardService
from lrmctl.rewards.service.sockets import own_address

FORMAT = RewardSection.model_validate({"components": [{"use": "format"}]})


def test_a_service_that_others_can_reach_is_found_only_by_its_secret(tmp_path: Path) -> None:
    rollouts = tmp_path / "rollouts.jsonl"
    with RewardService(FORMAT, rollouts=rollouts, end_tokens=[], host="0.0.0.0", reached_as="127.0.0.1") as service:
        url = urlsplit(service.url)
        secret = url.path.removesuffix("/reward")
        assert len(secret) > 20
        there = f"http://127.0.0.1:{url.port}"
        assert httpx.get(f"{there}{secret}/healthz", timeout=60).status_code in (200, 503)
        assert httpx.post(service.url, content=b"{}", timeout=60).status_code == 400
        assert [httpx.post(f"{there}{path}", timeout=60).status_code for path in ("/reward", "/healthz")] == [401, 401]


def test_every_launch_has_another_secret(tmp_path: Path) -> None:
    urls = set()
    for _ in range(2):
        with RewardService(FORMAT, rollouts=tmp_path / "r.jsonl", end_tokens=[], host="0.0.0.0") as service:
            urls.add(urlsplit(service.url).path)
    assert len(urls) == 2


def test_on_this_machine_alone_there_is_one_too(tmp_path: Path) -> None:
    with RewardService(FORMAT, rollouts=tmp_path / "r.jsonl", end_tokens=[]) as service:
        assert len(service.token) > 20
        assert httpx.post(f"{service.base}/reward", json={}, timeout=60).status_code == 401


def test_towards_this_machine_the_address_is_its_own() -> None:
    assert own_address("127.0.0.1") == "127.0.0.1"
    assert own_address()
