"""The built-in launchers, registered through the same hook as third-party ones."""

from __future__ import annotations

from lrmctl.hooks.specs import Register, hookimpl


@hookimpl
def lrmctl_launchers(register: Register) -> None:
    here = "lrmctl.backends.launch"
    register("local", f"{here}.local:Local", summary="a subprocess of this machine")
    register(
        "ray", f"{here}.launchers:ray_launcher", summary="a job of a running Ray cluster; `options` are its runtime_env"
    )
    register("slurm", f"{here}.slurm:Slurm", summary="a batch script through sbatch; `options` are those of sbatch")
