#!/bin/sh
# The steps of the Containerfile, run inside the image as root: system | needs | lrmctl.
set -eu
files=/usr/local/share/lrmctl
venv=/opt/lrmctl
uv=/tmp/uv-for-the-build

python_fits() {
    python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# Triton compiles its launchers at run time, and flash-attn is compiled here: both need a compiler and Python.h
compiles() {
    command -v gcc >/dev/null && python3 -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'
}

system() {
    packages=""
    python_fits || packages="python3 python3-venv"
    [ "$VARIANT" = cpu ] || compiles || packages="$packages python3-dev build-essential"
    if [ -n "$packages" ]; then
        apt-get update
        # shellcheck disable=SC2086
        DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ca-certificates $packages
        rm -rf /var/lib/apt/lists/*
    fi
    python_fits || { echo "BASE has no Python 3.11 or newer with venv, and its packages have none" >&2; exit 2; }
    python3 -m venv "$venv"
    useradd --non-unique --uid 1000 --home-dir /home/lrmctl --create-home lrmctl
    mkdir -p /cache/huggingface /work
    chmod 1777 /home/lrmctl /cache /cache/huggingface /work
}

# uv resolves with overrides, which pip has not; it is gone when the step ends
get_uv() {
    [ ! -f /run/secrets/uv.env ] || { set -a; . /run/secrets/uv.env; set +a; }
    trap 'rm -rf "$uv"' EXIT
    python3 -m venv "$uv"
    "$uv/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir --constraint "$files/constraints.txt" uv
    export UV_CACHE_DIR=/var/cache/uv UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
}

# install [OPTION] REQUIREMENT...: the same versions whether lrmctl is among the requirements or only what it needs
install() {
    case $VARIANT in
    cpu)
        [ -n "${UV_FIND_LINKS:-}" ] || set -- --torch-backend cpu "$@"
        set -- --constraints "$files/constraints.txt" --overrides "$files/cpu-overrides.txt" "$@"
        ;;
    cuda)
        # flash-attn is compiled against the torch that vLLM pins, so that one comes first
        if ! "$venv/bin/python" -c 'import importlib.metadata as m; m.version("flash-attn")' 2>/dev/null; then
            echo 'flash-attn ; sys_platform == "never"' >/tmp/without-flash-attn.txt
            "$uv/bin/uv" pip install --python "$venv/bin/python" --overrides /tmp/without-flash-attn.txt \
                setuptools wheel ninja psutil 'openrlhf[vllm]' "$@"
            rm /tmp/without-flash-attn.txt
        fi
        set -- --no-build-isolation-package flash-attn 'openrlhf[vllm]' "$@"
        ;;
    *)
        echo "VARIANT is $VARIANT; cpu and cuda are known" >&2
        exit 2
        ;;
    esac
    "$uv/bin/uv" pip install --python "$venv/bin/python" "$@"
}

case $1 in
system) system ;;
needs)
    get_uv
    install --requirements "$files/pyproject.toml" --extra openrlhf
    ;;
lrmctl)
    get_uv
    requirement=$LRMCTL
    if [ -z "$requirement" ]; then
        for wheel in /context/dist/lrmctl-*.whl; do requirement="lrmctl @ file://$wheel"; done
        [ -f "$wheel" ] || { echo "there is no wheel in dist/: make release, or --build-arg LRMCTL=lrmctl==VERSION" >&2; exit 2; }
    fi
    case $requirement in
    lrmctl*) install "lrmctl[openrlhf]${requirement#lrmctl}" ;;
    *) install "$requirement" ;;
    esac
    ;;
esac
