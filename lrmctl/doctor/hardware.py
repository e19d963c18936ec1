"""Checks of the machine: torch and CUDA, GPUs and their memory, shared memory, ports, disk and the folder of runs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from lrmctl.doctor.check import Check, Machine

_GIB = 1024**3
_LEAST_FREE = 2 * _GIB  # a study of the tiny LRM needs a tenth of this, a real checkpoint far more
_LEAST_SHARED = _GIB
_PORTS = {6379: "Ray's head node", 8265: "Ray's job server"}


class NvidiaGpu(NamedTuple):
    """One GPU as its driver reports it; memory in MiB."""

    name: str
    driver: str
    total: int
    free: int


@cache
def nvidia_gpus() -> tuple[NvidiaGpu, ...]:
    """The GPUs that NVIDIA's driver reports; none where there is no driver. Imports no torch."""
    if shutil.which("nvidia-smi") is None:
        return ()
    asked = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True).stdout
        rows = [[cell.strip() for cell in line.split(",")] for line in said.splitlines() if line.strip()]
        return tuple(NvidiaGpu(name, driver, int(total), int(free)) for name, driver, total, free in rows)
    except (OSError, subprocess.SubprocessError, ValueError):
        return ()


def torch(_: Machine) -> Iterator[Check]:
    """torch, and whether it sees the GPUs that the driver sees. Imports torch."""
    gpus = nvidia_gpus()
    try:
        import torch as library
    except ImportError as error:
        yield Check("torch", "fail", f"cannot be imported: {error}", "pip install torch")
        return
    told, built = library.__version__, library.version.cuda
    if library.cuda.is_available():
        yield Check("torch", "ok", f"{told}, {library.cuda.device_count()} CUDA device(s), built for CUDA {built}")
    elif gpus and built is None:
        fix = "install a CUDA build of torch"
        yield Check("torch", "warn", f"{told} is built for CPU, and this machine has {len(gpus)} GPU(s)", fix)
    elif gpus:
        why = f"{told} is built for CUDA {built} and sees none of {len(gpus)} GPU(s); driver {gpus[0].driver}"
        fix = "update the driver, or install torch for an older CUDA; see that CUDA_VISIBLE_DEVICES is not empty"
        yield Check("torch", "fail", why, fix)
    else:
        yield Check("torch", "ok", f"{told}, CPU only: {os.cpu_count()} processors; enough for the tiny LRM")


def gpu_memory(_: Machine) -> Iterator[Check]:
    """Free memory of each GPU."""
    for i, gpu in enumerate(nvidia_gpus()):
        found = f"{gpu.name}, driver {gpu.driver}: {gpu.free / 1024:.1f} of {gpu.total / 1024:.1f} GiB free"
        busy = gpu.free < 0.8 * gpu.total
        yield Check(f"GPU {i}", "warn" if busy else "ok", found, "see who uses it: nvidia-smi" if busy else "")


def shared_memory(_: Machine) -> Iterator[Check]:
    """`/dev/shm`, through which Ray and data loaders hand tensors on; containers often have 64 MiB."""
    place = Path("/dev/shm")
    if not place.is_dir():
        return
    total = shutil.disk_usage(place).total
    found = f"{total / _GIB:.1f} GiB"
    if total < _LEAST_SHARED:
        yield Check("shared memory", "warn", f"{found}; Ray and NCCL need more", "docker run --shm-size=8g ...")
    else:
        yield Check("shared memory", "ok", found)


def ports(_: Machine) -> Iterator[Check]:
    """Whether a service can listen on this machine, and whether Ray's ports are taken."""
    try:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
    except OSError as error:
        yield Check(
            "ports", "fail", f"nothing can listen on 127.0.0.1: {error}", "allow local sockets; rewards need one"
        )
        return
    taken = [f"{port} ({what})" for port, what in _PORTS.items() if _is_taken(port)]
    if taken:
        fix = "if you do not know this cluster: ray stop; lrmctl starts one of its own on free ports"
        yield Check("ports", "warn", f"taken: {', '.join(taken)}", fix)
    else:
        yield Check("ports", "ok", "local ports can be used; those of a Ray cluster are free")


def folder(machine: Machine) -> Iterator[Check]:
    """The folder of runs, and the disk it is on."""
    there = _existing(machine.runs_dir)
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        yield Check("runs", "ok", f"{machine.runs_dir} can be written")
    else:
        yield Check("runs", "fail", f"{there} cannot be written", "choose another --runs-dir or set LRMCTL_RUNS")
    free = shutil.disk_usage(there).free
    found = f"{free / _GIB:.1f} GiB free for runs"
    if free < _LEAST_FREE:
        yield Check("disk", "warn", found, "free some space, or choose another --runs-dir")
    else:
        yield Check("disk", "ok", found)


def _is_taken(port: int) -> bool:
    with socket.socket() as caller:
        caller.settimeout(0.3)
        return caller.connect_ex(("127.0.0.1", port)) == 0


def _existing(place: Path) -> Path:
    """The folder, or its nearest existing ancestor."""
    place = place.absolute()
    return next(p for p in (place, *place.parents) if p.exists())
