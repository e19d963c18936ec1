#!/usr/bin/env bash
# Everything that `make demo` and `make test` need, into .venv of this checkout: a CPU installation of lrmctl, its tests
# and OpenRLHF. Repeatable: what is there is kept. Nothing outside the checkout is changed but uv's download cache.
#
# Environment, all optional: PYTHON (an interpreter), VENV (default .venv), CONSTRAINTS (a file of versions, default
# constraints.txt; empty takes the newest ones), PIP_FIND_LINKS, PIP_INDEX_URL and PIP_EXTRA_INDEX_URL (handed on to uv,
# which does not read pip's settings).
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}
constraints=${CONSTRAINTS-constraints.txt}
started=$SECONDS

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 2; }

find_python() {
    for python in ${PYTHON:-} python3.11 python3.12 python3 python3.13; do
        if "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
    die "no Python 3.11 or newer with venv was found; install one (Debian: python3 and python3-venv) or set PYTHON"
}

[ -z "$constraints" ] || [ -f "$constraints" ] || die "CONSTRAINTS names $constraints, which is no file; leave it unset, or empty for the newest versions"

if ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
    python=$(find_python)
    say "making $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
fi

if ! "$venv/bin/uv" --version >/dev/null 2>&1; then
    say "installing uv from PyPI"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check ${constraints:+--constraint "$constraints"} uv
fi

options=(--python "$venv/bin/python" --overrides lrmctl/scaffold/cpu-overrides.txt)
if [ -n "$constraints" ]; then
    options+=(--constraints "$constraints")
    say "versions are those of $constraints"
else
    say "versions are the newest ones that fit"
fi
[ -z "${PIP_CERT:-}" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$PIP_CERT}"
[ -z "${PIP_INDEX_URL:-}" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$PIP_INDEX_URL}"
[ -z "${PIP_EXTRA_INDEX_URL:-}" ] || export UV_INDEX="${UV_INDEX:-$PIP_EXTRA_INDEX_URL}"
if [ -n "${PIP_FIND_LINKS:-}" ]; then
    for place in $PIP_FIND_LINKS; do options+=(--find-links "$place"); done
    say "torch and whatever else is there come from $PIP_FIND_LINKS"
else
    options+=(--torch-backend cpu)
    say "torch comes from PyTorch's index of CPU builds"
fi

# compiled now, once: uv leaves that to the first import, and a machine that forbids it would pay at every start
say "installing lrmctl, OpenRLHF and the tests, and compiling them (about 2.6 GB on disk)"
"$venv/bin/uv" pip install --quiet --compile-bytecode "${options[@]}" -e '.[dev,openrlhf]'

# a CUDA build of torch would bring gigabytes that nothing here uses, so its arrival is an error and not a surprise
unwanted=$("$venv/bin/uv" pip freeze --python "$venv/bin/python" | grep -iE '^(nvidia-(cu|nccl|nvtx|nvjit|nvsh)|cuda-|triton|vllm)' || true)
[ -z "$unwanted" ] || die "CUDA packages came in: $(echo "$unwanted" | tr '\n' ' ')"

touch "$venv/.lrmctl-setup"
say "done in $((SECONDS - started)) s; $venv takes $(du -sh "$venv" | cut -f1)"
