"""Imported by Python at start-up when this folder is on PYTHONPATH; this is how the shim gets into every Ray worker."""

import importlib.util
import os

# a child process may use another Python, without lrmctl, where the shim must not run
if os.environ.get("LRMCTL_OPENRLHF_CPU") == "1" and importlib.util.find_spec("lrmctl"):
    from lrmctl.backends.openrlhf.cpu import patches, shim  # noqa: F401  (patches registers itself)

    shim.install()
