"""`lrmctl reward serve`: the reward service alone, for an OpenRLHF that was started by hand or elsewhere."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from lrmctl.cli.common import RUNS, RunsDir, Sets, load, recipe_argument
from lrmctl.errors import LrmctlError

if TYPE_CHECKING:
    from lrmctl.recipe.schema.recipes import RlRecipe
    from lrmctl.rewards.service.server import RewardService


def serve(
    recipe: Annotated[str, recipe_argument("rl")],
    sets: Sets = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for other machines too.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 0,
    rollouts: Annotated[Path, typer.Option(help="File that every rollout is appended to.")] = Path("rollouts.jsonl"),
    token_env: Annotated[
        str, typer.Option("--token-env", metavar="NAME", help="Environment variable that holds the token.")
    ] = "LRMCTL_REWARD_TOKEN",
    end_token: Annotated[
        list[str] | None,
        typer.Option("--end-token", metavar="TEXT", help="Text that ends a response; by default from the model."),
    ] = None,
    reached_as: Annotated[
        str, typer.Option("--reached-as", metavar="HOST", help="This machine's name in the URL that is printed.")
    ] = "",
    runs_dir: RunsDir = RUNS,
) -> None:
    """Serve the reward of an RL recipe over HTTP until Ctrl-C; prints the URL for OpenRLHF's --reward.remote_url.

    Exit code 3 if the reward fails in a way that must end the run.

    Examples:
        lrmctl reward serve lab/rl --port 8000
        lrmctl reward serve mine.yaml --host 0.0.0.0 --rollouts rollouts.jsonl
    """
    from lrmctl import console
    from lrmctl.runs.holding import hold_file
    from lrmctl.runs.output import check_output, object_with

    # the appender removes a truncated last line, which must only happen to a rollouts file
    check_output(rollouts, object_with("prompt", "reward"), otherwise="name another file", option="--rollouts")
    signal.signal(signal.SIGTERM, _interrupt)
    with (
        hold_file(rollouts, "serving rewards into"),
        _service(recipe, sets, host, port, rollouts, token_env, end_token, reached_as, runs_dir) as service,
    ):
        pages = service.url.removesuffix("reward")
        console.say(f"rollouts go to {rollouts}; {pages}healthz and {pages}metrics say how it goes; Ctrl-C ends it")
        typer.echo(service.url)
        try:
            _until_failure(service)
        except KeyboardInterrupt:
            pass
        finally:
            counts = service.counts()
            console.say(f"{counts['rollouts']} rollouts, {counts['failed']} failed")


def _service(
    ref: str,
    sets: list[str] | None,
    host: str,
    port: int,
    rollouts: Path,
    token_env: str,
    end_token: list[str] | None,
    reached_as: str,
    runs_dir: Path,
) -> RewardService:
    from lrmctl.rewards.service.server import RewardService
    from lrmctl.rewards.service.sockets import LOOPBACK, own_address
    from lrmctl.training.reward_service import group_sizes

    loaded = load(ref, sets, "rl")
    rl: RlRecipe = loaded.recipe  # type: ignore[assignment]  # of the kind that was asked for
    filtering = rl.algorithm.dynamic_filtering
    return RewardService(
        rl.reward,
        rollouts=rollouts,
        end_tokens=end_token or _end_tokens(rl.model, runs_dir),
        tokenizer=_folder(rl.model, runs_dir),
        host=host,
        port=port,
        attempt=_last_attempt(rollouts) + 1,
        score_of=filtering.of if filtering else "reward",
        reached_as=reached_as or ("" if host in LOOPBACK else own_address() if host in ("0.0.0.0", "::") else host),
        token=os.environ.get(token_env, ""),
        samples=group_sizes(rl),
        baseline=rl.algorithm.baseline,
    )


def _end_tokens(ref: str, runs_dir: Path) -> list[str]:
    from lrmctl.models import load_tokenizer, resolve_model
    from lrmctl.training.reward_service import end_tokens

    try:
        model = resolve_model(ref, runs_dir)
        return end_tokens(model, load_tokenizer(model))
    except LrmctlError as error:
        what = f"the tokens that end a response are not known: {error.what}"
        raise LrmctlError(what, error.where, "give them with --end-token, e.g. --end-token '<|im_end|>'") from error


def _folder(ref: str, runs_dir: Path) -> Path | None:
    """The folder of the model's tokenizer; None if it is not here: tokens are then not counted, with a warning."""
    from lrmctl import console
    from lrmctl.models import resolve_model

    try:
        return resolve_model(ref, runs_dir)
    except LrmctlError as error:
        console.say(f"tokens of thinking and answer are not counted: {error.what}")
        return None


def _last_attempt(rollouts: Path) -> int:
    from lrmctl.runs.damage import part_of
    from lrmctl.runs.jsonl import read_jsonl

    with part_of(rollouts):
        return max((int(row.get("attempt", 0)) for row in read_jsonl(rollouts)), default=0)


def _until_failure(service: RewardService) -> None:
    while True:
        if error := service.failure():
            raise error
        time.sleep(0.2)


def _interrupt(_signum: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
