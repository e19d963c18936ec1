"""Imported by Python at start-up when this folder is on PYTHONPATH; this is how hooks get into every Ray worker."""

import importlib.util
import os

_CPU, _WEIGHTS = os.environ.get("LRMCTL_OPENRLHF_CPU") == "1", "LRMCTL_OPENRLHF_WEIGHTS" in os.environ

# a child process may use another Python, without lrmctl, where no hook must run
if (_CPU or _WEIGHTS) and importlib.util.find_spec("lrmctl"):
    if _CPU:
        from lrmctl.backends.openrlhf.cpu import patches, shim  # noqa: F401  (patches registers itself)

        shim.install()
    if _WEIGHTS:
        from lrmctl.backends.openrlhf.import_hooks import install_hooks
        from lrmctl.backends.openrlhf.weights import hooks  # noqa: F401

        install_hooks()
