"""Hooks of how a training runs: by which backend, started how, and who is told. `specs` has them too."""

from __future__ import annotations

from lrmctl.hooks.factories import Register
from lrmctl.hooks.markers import hookspec


@hookspec
def lrmctl_backends(register: Register) -> None:
    """Register training backends: `register(name, factory)`, factory() -> `lrmctl.backends.Backend`.

    Example:
        from lrmctl import Plan, hookimpl
        from lrmctl.backends import Backend


        class Copying(Backend):
            name = "copying"  # trains nothing: the model is the one that it began with

            def plan(self, job):
                return Plan(self.name, job.recipe.kind, argv=("cp", "-r", str(job.model_path), "trained"), env={})

            def launch(self, plan, run_dir, on_progress, abort):
                import subprocess

                subprocess.run(plan.argv, cwd=run_dir, check=True)
                return run_dir / "trained"


        @hookimpl
        def lrmctl_backends(register):
            register("copying", Copying, summary="copies the model, to test what comes before and after")
    """


@hookspec
def lrmctl_launchers(register: Register) -> None:
    """Register launchers, the ways to start a training: `register(name, factory)`, factory(**options) ->
    `lrmctl.backends.launch.Launcher`.

    Example:
        import os
        import signal
        import subprocess
        import time

        import psutil

        from lrmctl import hookimpl
        from lrmctl.backends.launch import JobState, Launcher


        class Detached(Launcher):
            def __init__(self, nice: int = 0):  # a recipe says `launch: {via: detached, options: {nice: 10}}`
                if not 0 <= nice <= 19:
                    raise ValueError(f"`nice` is from 0 to 19, not {nice}")
                self.nice = nice

            def preview(self, job):
                return job.script()

            def submit(self, job):
                script = job.log.with_name("job.sh")
                script.write_text(job.script())
                started = subprocess.Popen(["nice", "-n", str(self.nice), "bash", script], start_new_session=True)
                return {"id": started.pid}

            def state(self, record):  # a job that has ended left its exit code, which lrmctl looks for by itself
                try:
                    alive = psutil.Process(record["id"]).status() != psutil.STATUS_ZOMBIE
                except psutil.NoSuchProcess:
                    alive = False
                return JobState("running" if alive else "gone", f"process {record['id']}")

            def cancel(self, record):
                while self.where(record).active:
                    os.killpg(record["id"], signal.SIGTERM)
                    time.sleep(0.1)

            def stop_command(self, record):
                return f"kill -- -{record['id']}"


        @hookimpl
        def lrmctl_launchers(register):
            register("detached", Detached, summary="a process of this machine that outlives lrmctl")
    """


@hookspec
def lrmctl_trackers(register: Register) -> None:
    """Register trackers of runs: `register(name, factory)`, factory(**options) -> `Tracker`.

    Example:
        from lrmctl import hookimpl
        from lrmctl.hooks import Tracker


        class Diary(Tracker):
            def __init__(self, file: str = "diary.txt"):
                self.file = file

            def run_started(self, run):
                self.name = run.name

            def step(self, step, metrics):
                with open(self.file, "a") as diary:
                    diary.write(f"{self.name} {step} {metrics.get('reward')}\\n")


        @hookimpl
        def lrmctl_trackers(register):
            register("diary", Diary, summary="one line a step in a text file")
    """
