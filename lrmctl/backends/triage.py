"""Finds the first root cause of a failed run in its log. Later lines are mostly consequences: Ray and torchrun repeat,
wrap and rename errors until the cause is far above the end.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from lrmctl.errors import BackendError

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_RAY = re.compile(r"^\((?:\w[\w:.<>-]*) pid=\d+[^)]*\) ?")
_RANK = re.compile(r"^\[(?:default|rank)\d+\]: ?")
_ERROR = re.compile(r"^(?:[A-Za-z_]\w*\.)*((?:[A-Z]\w*)?(?:Error|Exception|Interrupt|Exit|Failure|Died))(?::.*)?$")
_WRAPPERS = re.compile(r"^(?:Ray\w*Error|ActorDiedError|ActorUnavailableError|WorkerCrashedError|ChildFailedError)")
_LAST_LINES = 40
_FULL_DISK_BYTES = 64 * 1024
"""Bytes; a disk with less free space counts as full."""
_FULL = ("the disk is full", "free some space")
_SLURM = re.compile(r"^Slurm job (\S+) ended as (\w+)")
_PLACES: dict[str, str] = {"in get_tokenizer": "the model's tokenizer cannot be loaded: "}
"""What a frame of the traceback adds to an error whose own text does not say what was being done."""


class _FailurePattern(NamedTuple):
    """A kind of failure: a line that identifies it, what to say, what to do. `{0}`... are the groups of the pattern."""

    pattern: re.Pattern[str]
    what: str
    fix: str


def _pattern(pattern: str, what: str, fix: str) -> _FailurePattern:
    return _FailurePattern(re.compile(pattern), what, fix)


FAILURE_PATTERNS: tuple[_FailurePattern, ...] = (
    _pattern(
        r"^Slurm job (\S+) ended as (TIMEOUT|DEADLINE)",
        "Slurm ended job {0} at its time limit",
        "raise `launch.options.time`, and go on with --resume",
    ),
    _pattern(
        r"^Slurm job (\S+) ended as OUT_OF_MEMORY",
        "Slurm ended job {0} for using more memory than it asked for",
        "raise `launch.options.mem`, or lower optimizer.micro_batch_size",
    ),
    _pattern(
        r"^Slurm job (\S+) ended as (?!CANCELLED|FAILED|UNKNOWN)(\w+)",
        "Slurm ended job {0}: {1}",
        "go on with --resume",
    ),
    _pattern(r"No space left on device|Errno 28|disk quota exceeded", *_FULL),
    _pattern(
        r"basic_ios::clear: iostream error|PytorchStreamWriter failed writing",
        "a checkpoint could not be written, most often because the disk is full",
        "free some space",
    ),
    _pattern(
        r"ModuleNotFoundError: No module named '([^']+)'",
        "the Python module {0!r} is missing",
        "install what OpenRLHF needs: pip install 'lrmctl[openrlhf]'",
    ),
    _pattern(
        r"CUDA out of memory|OutOfMemoryError: CUDA|CUDA error: out of memory",
        "the GPU ran out of memory",
        "lower optimizer.micro_batch_size or max_len, or raise optimizer.zero_stage",
    ),
    _pattern(
        r"ValueError: invalid literal for int\(\) with base 10: '\d+[a-z]'",
        "DeepSpeed cannot compile its optimizer for what TORCH_CUDA_ARCH_LIST names",
        "name compute capabilities without letters, as in TORCH_CUDA_ARCH_LIST=9.0, or unset it",
    ),
    _pattern(
        r"running low on memory|[Cc]annot allocate memory|std::bad_alloc|DefaultCPUAllocator: can't allocate"
        r"|^MemoryError|failed to map segment|OpenBLAS error: Memory allocation",
        "the machine ran out of memory",
        "lower optimizer.micro_batch_size or max_len, or run fewer jobs at once",
    ),
    _pattern(
        r"current node timed out during startup|GCS cannot find the node",
        "Ray did not start in time: the machine is too busy",
        "run fewer jobs at once",
    ),
    _pattern(
        r"[Aa]ddress already in use|EADDRINUSE",
        "a port that the trainer needs is taken",
        "see that no other training holds it (MASTER_PORT, Ray)",
    ),
    _pattern(
        r"(?:OSError|ValueError): (.*(?:does not appear to have a file named|not a valid model identifier"
        r"|Unrecognized model in|is not a local folder).*)",
        "the model cannot be loaded: {0}",
        "check `model:` of the recipe",
    ),
    _pattern(
        r"(SafetensorError: .*|.*(?:PytorchStreamReader|HeaderTooLarge|MetadataIncompleteBuffer).*)",
        "the model's weights cannot be read: {0}",
        "get the checkpoint again",
    ),
    _pattern(
        r"((?:OSError|ValueError|TypeError|Exception): .*[Tt]okenizer.*)",
        "the model's tokenizer cannot be loaded: {0}",
        "check the tokenizer files of the model folder",
    ),
)


def diagnose(log: Path, exit_code: int) -> BackendError:
    """The error to show for a run that ended with `exit_code`; `where` is the log, `fix` what to change.

    Args:
        log: the attempt's output; may be missing or empty.
    """
    lines = [_plain(line) for line in _read(log)]
    # on a full disk the log is cut off, and at most shows errors caused by that
    found = _FULL if _is_full(log) else next(_causes(lines), None)
    what, fix = found or _by_code(exit_code, lines)
    return BackendError(what, str(log), fix)


def _is_full(log: Path) -> bool:
    with suppress(OSError):
        return shutil.disk_usage(log.parent).free < _FULL_DISK_BYTES
    return False


def _read(log: Path) -> list[str]:
    try:
        return log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").splitlines()
    except FileNotFoundError:
        return []


def _plain(line: str) -> str:
    """A line without colours and without the prefixes of Ray and torchrun."""
    return _RANK.sub("", _RAY.sub("", _ANSI.sub("", line))).strip()


def _causes(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Root causes in log order: a known pattern, or the error that a traceback ends in."""
    found: list[tuple[str, str]] = []
    for i, line in enumerate(lines):
        if _handled(lines, i):
            continue
        for sign in FAILURE_PATTERNS:
            if match := sign.pattern.search(line):
                yield (sign.what.format(*match.groups()), sign.fix)
                return
        if (error := _error(lines, i)) and not found:
            found.append((error, "read the log"))
    yield from found
    yield from _dead_workers(lines)


def _dead_workers(lines: list[str]) -> Iterator[tuple[str, str]]:
    """A Ray worker that died without a message: killed from outside, or crashed below Python."""
    for i, line in enumerate(lines):
        if "ActorDiedError: The actor died unexpectedly" in line or "WorkerCrashedError" in line:
            named = (a.partition("class_name: ")[2] for a in lines[i : i + 4] if "class_name: " in a)
            who = next(named, "a task")
            yield (
                f"a worker of the trainer was killed ({who}), most often by the system for want of memory",
                "see what ended it (dmesg); run fewer jobs at once, or lower optimizer.micro_batch_size; then --resume",
            )


def _handled(lines: list[str], i: int) -> bool:
    """Whether the error at line `i` was caught; an error raised inside the handler is the one that counts."""
    return any(a.startswith("During handling of the above exception") for a in lines[i + 1 : i + 4])


def _error(lines: list[str], i: int) -> str:
    """The text of an exception that ends a traceback at line `i`; empty if there is none, or only a wrapper."""
    match = _ERROR.match(lines[i])
    if match is None or _WRAPPERS.match(match.group(1)):
        return ""
    above = lines[max(0, i - 60) : i]
    if not any("Traceback (most recent call last)" in a or a.startswith("ray::") for a in above):
        return ""
    where = next((words for place, words in _PLACES.items() if any(place in a for a in above)), "")
    return f"{where}{lines[i]}"


def _by_code(code: int, lines: list[str]) -> tuple[str, str]:
    """What an exit code alone tells."""
    last = next((line for line in reversed(lines[-_LAST_LINES:]) if line), "it wrote nothing")
    explanations: dict[int, Callable[[], tuple[str, str]]] = {
        137: lambda: ("the trainer was killed (SIGKILL), most often for want of memory", "run fewer jobs at once"),
        143: lambda: ("the trainer was ended from outside (SIGTERM)", "nothing needs changing"),
        127: lambda: (f"the trainer could not be started: {last}", "check the Python environment"),
    }
    if match := next((m for line in reversed(lines) if (m := _SLURM.match(line))), None):
        return f"Slurm job {match.group(1)} was ended from outside ({match.group(2)})", "go on with --resume"
    return explanations.get(code, lambda: (f"the trainer ended with code {code}: {last}", "read the log"))()
