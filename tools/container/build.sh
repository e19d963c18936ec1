#!/usr/bin/env bash
# Builds the container image of this checkout with podman, buildah or docker.
#
# Environment, all optional: VARIANT (cpu or cuda), BASE (an image), LRMCTL (a requirement such as lrmctl==0.1.0, in place
# of a wheel of this checkout), IMAGE (its name, default lrmctl:VARIANT), BUILDER (podman, buildah or docker),
# BUILD_OPTIONS (words for the builder, e.g. --secret id=uv.env,src=FILE).
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=${VENV:-.venv}
variant=${VARIANT:-cpu}
image=${IMAGE:-lrmctl:$variant}

die() { printf 'container: %s\n' "$*" >&2; exit 2; }

case $variant in
cpu) base=${BASE:-} ;;
cuda) base=${BASE:-docker.io/nvidia/cuda:13.0.1-devel-ubuntu24.04} ;;
*) die "VARIANT is $variant; cpu and cuda are known" ;;
esac

works() {
    case $1 in
    docker) docker info >/dev/null 2>&1 ;;  # the command alone is not enough: it needs its daemon
    *) command -v "$1" >/dev/null ;;
    esac
}
builder=${BUILDER:-}
for one in podman buildah docker; do
    [ -n "$builder" ] || ! works "$one" || builder=$one
done
[ -n "$builder" ] || die "neither podman nor buildah is installed, and no docker daemon answers; install one of them"
works "$builder" || die "BUILDER is $builder, which is not installed, or whose daemon does not answer"

if [ -z "${LRMCTL:-}" ]; then
    rm -f dist/lrmctl-*.whl
    if uv=$(command -v "$venv/bin/uv" || command -v uv); then
        "$uv" build --quiet --wheel --out-dir dist
    elif python=$(command -v "$venv/bin/python" || command -v python3) && "$python" -m pip --version >/dev/null 2>&1; then
        "$python" -m pip wheel --quiet --no-deps --wheel-dir dist .
    else
        die "neither uv nor pip is here to build the wheel; make setup, or set LRMCTL to a released version"
    fi
fi

options=(-f tools/container/Containerfile -t "$image" --build-arg "VARIANT=$variant" --build-arg "LRMCTL=${LRMCTL:-}")
[ -z "$base" ] || options+=(--build-arg "BASE=$base")
[ -z "${MAX_JOBS:-}" ] || options+=(--build-arg "MAX_JOBS=$MAX_JOBS")
[ "$builder" = docker ] || options+=(--ignorefile tools/container/Containerfile.dockerignore)
export DOCKER_BUILDKIT=1
# shellcheck disable=SC2086
"$builder" build "${options[@]}" ${BUILD_OPTIONS:-} .
echo "container: $image is built; docs/containers.md says how to run it"
