#!/usr/bin/env bash
# What a release is made of, in dist/: wheel, source distribution, and what they depend on. Uploads nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
VENV=${VENV:-.venv}
UV="$VENV/bin/uv"
version=$("$VENV/bin/python" -c "from lrmctl._util.version import __version__ as v; print(v)")

grep -q "^## \[$version\] - " CHANGELOG.md || echo "release: CHANGELOG.md has no section [$version] yet" >&2
grep -q "^version: $version$" CITATION.cff || echo "release: CITATION.cff does not say $version" >&2

rm -rf dist
"$UV" build --quiet
"$UV" tool run --quiet twine check --strict dist/*.whl dist/*.tar.gz
# every installed package with its version, licence and hash, as CycloneDX
"$UV" tool run --quiet --from cyclonedx-bom cyclonedx-py environment "$VENV" --pyproject pyproject.toml \
    --mc-type library --output-format JSON --output-file "dist/lrmctl-$version.cdx.json"
"$VENV/bin/python" tools/licences.py "dist/lrmctl-$version.cdx.json" > dist/LICENCES.md
ls -l dist
