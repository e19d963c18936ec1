"""Starts an OpenRLHF program without showing secrets on its command line; this file is copied into the run folder.

`python start.py MODULE WORDS...` runs the module as `python -m` would; `--reward.remote_url file:PATH` becomes the
content of that file, which only the user may read: command lines of processes, jobs and plans are visible to everybody.
"""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    module, *arguments = sys.argv[1:]
    for i, argument in enumerate(arguments):
        if argument.startswith("file:") and arguments[i - 1] == "--reward.remote_url":
            arguments[i] = Path(argument.removeprefix("file:")).read_text(encoding="utf-8").strip()
    sys.argv[1:] = arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)
