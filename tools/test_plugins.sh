#!/usr/bin/env bash
# Runs the own tests of plugins, each installed with its dependencies into an environment of its own in .plugins/NAME.
# Such an environment sees what .venv has, so that torch is not installed again; only what .venv lacks is added.
#
#   tools/test_plugins.sh [NAME...]    all folders of plugins/ by default
#
# Environment, all optional: VENV (default .venv), PIP_FIND_LINKS, PIP_INDEX_URL, PIP_EXTRA_INDEX_URL as in setup.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}
uv=$venv/bin/uv
here=$PWD

say() { printf 'test-plugins: %s\n' "$*"; }

[ -z "${PIP_CERT:-}" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$PIP_CERT}"
[ -z "${PIP_INDEX_URL:-}" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$PIP_INDEX_URL}"
[ -z "${PIP_EXTRA_INDEX_URL:-}" ] || export UV_INDEX="${UV_INDEX:-$PIP_EXTRA_INDEX_URL}"
links=()
for place in ${PIP_FIND_LINKS:-}; do links+=(--find-links "$place"); done

[ $# -gt 0 ] || set -- $(cd plugins && ls -d */ | tr -d /)
failed=()
for name in "$@"; do
    [ -f "plugins/$name/pyproject.toml" ] || { say "there is no plugins/$name" >&2; exit 2; }
    folder=.plugins/$name
    mkdir -p "$folder"
    say "$name: installing what $venv lacks"
    "$venv/bin/python" -m venv --clear --without-pip "$folder/venv"
    python=$here/$folder/venv/bin/python
    site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    echo "import site; site.addsitedir('$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')')" > "$site/of-lrmctl.pth"
    # what an installation into .venv would add or replace goes into the plugin's environment, which comes first
    rm -rf "$folder/source" && cp -r "plugins/$name" "$folder/source"
    "$uv" pip install --dry-run --python "$venv/bin/python" "${links[@]}" "$folder/source" 2>&1 \
        | sed -n 's/^ + \([^ ]*==[^ ]*\)$/\1/p' > "$folder/added.txt"
    if unwanted=$(grep -iE '^(torch|nvidia-|cuda-|triton)' "$folder/added.txt"); then
        say "$name wants another torch or CUDA: $unwanted" >&2
        exit 1
    fi
    "$uv" pip install --quiet --no-deps --python "$python" "${links[@]}" -r "$folder/added.txt" "$folder/source"
    say "$name: its tests, with $(grep -c . "$folder/added.txt" || true) packages added"
    "$python" -m pytest -p no:cacheprovider "plugins/$name/tests" || failed+=("$name")
done
[ ${#failed[@]} -eq 0 ] || { say "failed: ${failed[*]}" >&2; exit 1; }
say "all passed: $*"
