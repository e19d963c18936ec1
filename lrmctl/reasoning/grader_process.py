"""math_verify in a separate process, because algebra on some expressions never ends.

math_verify's own time limits are alarm signals, which Python delivers to the main thread only: called from another
thread they raise, and disabled they limit nothing. A thread cannot be stopped either. So expressions are compared in a
child process that the kernel kills when its time is up, and the next expression gets a new child.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from functools import lru_cache
from typing import Any

from lrmctl.errors import JudgeError

CPU_SECONDS = 3.0
"""Processor time for one expression, so that the outcome does not depend on other load of the machine."""
WALL_SECONDS = 20.0
"""Time limit for a child that waits and does not compute."""
_MEMORY = 4 << 30
_READY = "ready"


class Grader:
    """One child and its pipe; thread-safe, calls are serialised.

    Attributes:
        ended: number of children that ran out of time.
    """

    def __init__(self) -> None:
        self.ended = 0
        self.forget()
        os.register_at_fork(after_in_child=self.forget)

    def forget(self) -> None:
        """Start over in a forked process, which must neither share the child nor wait for a lock of another thread."""
        self._lock = threading.Lock()
        self._child: subprocess.Popen[str] | None = None

    def same(self, answer: str, reference: str) -> bool | None:
        """math_verify's verdict on the answer; None if it reached none in time.

        Raises:
            JudgeError: math_verify cannot be used at all.
        """
        with self._lock:
            child = self._alive()
            try:
                said = self._asked(child, answer, reference)
            except OSError:  # the child ended before it had read the question
                said = ""
            if said:
                return bool(json.loads(said))
            self.ended += 1
            child.kill()
            child.wait()
            return None

    def _asked(self, child: subprocess.Popen[str], answer: str, reference: str) -> str:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps([answer, reference]) + "\n")
        child.stdin.flush()
        return child.stdout.readline()

    def _alive(self) -> subprocess.Popen[str]:
        if self._child is None or self._child.poll() is not None:
            self._child = _started()
        return self._child


def _started() -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    child = subprocess.Popen([sys.executable, "-m", __name__], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert child.stdout is not None
    assert child.stderr is not None
    if child.stdout.readline().strip() != _READY:
        why = child.stderr.read().strip().splitlines()[-1:]
        raise JudgeError(
            f"math_verify does not start: {' '.join(why)}", fix="install math-verify with its LaTeX parser"
        )
    child.stderr.close()
    return child


_grader = Grader()


@lru_cache(maxsize=16384)
def same_value(answer: str, reference: str) -> bool:
    """Whether the text gives the reference's value, according to math_verify. A comparison that takes too long is
    False.

    Args:
        answer: text with a stated final answer in LaTeX.
        reference: LaTeX without dollar signs.
    """
    return _grader.same(answer, reference) is True


def _compare(answer: str, reference: str) -> bool:
    _, _, verify = _math_verify()
    predicted = list(_predicted(answer))
    return bool(predicted) and bool(verify(list(_gold(reference)), predicted, timeout_seconds=None))


@lru_cache(maxsize=4096)
def _predicted(answer: str) -> tuple[Any, ...]:
    """The parsed answer; cached, since samples of one prompt are compared with one another."""
    parse, config, _ = _math_verify()
    return tuple(parse(answer, extraction_config=[config], parsing_timeout=None))


@lru_cache(maxsize=4096)
def _gold(reference: str) -> tuple[Any, ...]:
    """The parsed reference, which needs no words such as "final answer" around it."""
    parse, _, _ = _math_verify()
    return tuple(parse(f"${reference.strip().strip('$')}$", parsing_timeout=None))


@lru_cache(maxsize=1)
def _math_verify() -> tuple[Any, Any, Any]:
    """Its parser, what we let it extract from answers, and its comparison."""
    from math_verify import LatexExtractionConfig, parse, verify

    return parse, LatexExtractionConfig(boxed_match_priority=0, try_extract_without_anchor=False), verify


def _serve() -> None:
    """The child process: one question per line in, one answer per line out. Timer signals kill it, whatever it is
    doing."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles interrupts
    _compare("\\boxed{x}", "x")  # imports and first use do not count as the expression's time
    print(_READY, flush=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # nobody reads its warnings
    for line in sys.stdin:
        _limit(CPU_SECONDS, WALL_SECONDS)
        try:
            said = _compare(*json.loads(line))
        except Exception:  # what cannot be parsed is not equal to the reference
            said = False
        _limit(0, 0)
        print(json.dumps(said), flush=True)


def _limit(cpu: float, wall: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, cpu)
    signal.setitimer(signal.ITIMER_REAL, wall)


if __name__ == "__main__":
    _serve()
