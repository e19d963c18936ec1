"""A real Slurm of one node, this machine, with daemons of its own in a temporary folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CONF = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={here}/munge.socket
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={here}/state
SlurmdSpoolDir={here}/spool
SlurmctldPidFile={here}/ctld.pid
SlurmdPidFile={here}/d.pid
SlurmctldLogFile={here}/ctld.log
SlurmdLogFile={here}/d.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
MpiDefault=none
ReturnToService=2
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=1000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


@contextmanager
def slurm_of_one_node(here: Path) -> Iterator[Path]:
    """Slurm's daemons in an empty folder; the test is skipped where they cannot run."""
    if missing := [p for p in PROGRAMS if shutil.which(p) is None]:
        pytest.skip(f"no {', '.join(missing)} here (Debian: slurm-wlm, munge)")
    if os.geteuid() != 0:
        pytest.skip("Slurm's daemons want to be root")
    for folder in (here, *list(here.parents)[:-2]):
        folder.chmod(folder.stat().st_mode | 0o055)  # munge refuses a socket that others cannot reach
    (here / "spool").mkdir()
    (here / "munge.key").write_bytes(os.urandom(1024))
    (here / "munge.key").chmod(0o600)
    host = socket.gethostname().split(".")[0]
    conf = here / "slurm.conf"
    conf.write_text(CONF.format(here=here, host=host, ports=free_ports(2), cpus=os.cpu_count()))
    os.environ["SLURM_CONF"] = str(conf)
    files = [f"--{name}-file={here}/munge.{name}" for name in ("key", "pid", "log", "seed")]
    commands = (["munged", "--foreground", "--force", f"--socket={here}/munge.socket", *files], ["slurmctld", "-D"])
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        for command in (*commands, ["slurmd", "-D"]):
            daemons.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            time.sleep(1.5)
        wait_until_idle()
        yield here
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            daemon.wait(timeout=30)
        del os.environ["SLURM_CONF"]


def wait_until_idle(patience: float = 60.0) -> None:
    end = time.monotonic() + patience
    while "idle" not in subprocess.run(["sinfo", "-h"], capture_output=True, text=True, check=False).stdout:
        if time.monotonic() > end:
            pytest.skip("Slurm's daemons did not come up here")
        time.sleep(0.5)
