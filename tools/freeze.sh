#!/usr/bin/env bash
# Writes constraints.txt from the versions that are installed in VENV (default .venv): `make constraints`.
# Do it after `CONSTRAINTS= make setup` in an empty VENV, which takes the newest versions, and a green `make test-all`.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}

# left out: lrmctl and what was installed from a file (" @ "), and pip; a local label such as +cpu names one build of a
# version and would refuse all others
found=$("$venv/bin/uv" pip freeze --quiet --exclude-editable --python "$venv/bin/python" |
    grep -vE ' @ |^(lrmctl[a-z-]*|pip)==' | sed -E 's/\+[A-Za-z0-9.]+$//')
version=$("$venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

{
    echo "# The versions that the tests passed with, on Python $version. tools/setup.sh installs these; written by"
    echo "# tools/freeze.sh (\`make constraints\`). Only versions: what lrmctl needs is said in pyproject.toml."
    echo "$found"
} >constraints.txt
