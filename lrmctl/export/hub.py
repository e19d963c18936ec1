"""Uploads a published folder to a repository of the hub, through huggingface_hub. Private unless asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.errors import LrmctlError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_REPO = "write ORG/NAME: letters, digits, - _ and ., at most 96"


def hub_api() -> HfApi:
    """The hub's API with a token that the hub accepts.

    Raises:
        LrmctlError: there is no token, the hub does not accept it, or cannot be reached.
    """
    from huggingface_hub import HfApi, get_token

    token = get_token()
    if token is None:
        raise LrmctlError(
            "there is no token for the hub", fix="run `hf auth login`, or set HF_TOKEN to a token that may write"
        )
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, token=token)
    with _explained("the hub does not accept the token"):
        api.whoami()
    return api


def upload(api: HfApi, folder: Path, repo: str, *, private: bool = True, message: str) -> str:
    """Create the repository if needed and upload the folder's files; returns the repository's address.

    Files that are there already with the same content are not uploaded again, so that the same call continues an
    interrupted one.

    Raises:
        LrmctlError: the hub refuses; or the repository exists and is public, though `private` is asked for.
    """
    with _explained(f"cannot create the repository {repo!r}"):
        url = api.create_repo(repo, private=private, repo_type="model", exist_ok=True)
        public = private and not api.repo_info(repo, repo_type="model").private
    if public:
        raise LrmctlError(
            "this repository is there already and is public", repo, "say --public if that is meant, or name another one"
        )
    with _explained(f"cannot upload to {repo!r}; the same command continues"):
        api.upload_folder(repo_id=repo, folder_path=folder, repo_type="model", commit_message=message)
    return str(url)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn errors of the hub and of the connection to it into one that says what was tried."""
    import httpx
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except HFValidationError as error:
        raise LrmctlError("this is no name of a repository", _first_line(error), _REPO) from error
    except (HfHubHTTPError, httpx.HTTPError, OSError, ValueError) as error:
        raise LrmctlError(f"{what}: {_first_line(error)}", fix=_fix_of(error)) from error
    except RuntimeError as error:  # an upload's, whose cause says more
        cause = error.__cause__ or error
        raise LrmctlError(f"{what}: {_first_line(cause)}", fix=_fix_of(cause)) from error


def _first_line(error: Any) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (getattr(error, "server_message", None) or (lines[0] if lines else "") or type(error).__name__).rstrip(".")


def _fix_of(error: Any) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return "use a token that may write there: `hf auth login`, or HF_TOKEN"
    return "check the connection and HF_ENDPOINT" if status is None else ""
