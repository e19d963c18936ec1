"""Python imports this at start-up when its folder is on PYTHONPATH; that is how the shim reaches every Ray worker."""

import importlib.util
import os

# a child process may be another Python, which has no lrmctl and no business here
if os.environ.get("LRMCTL_OPENRLHF_CPU") == "1" and importlib.util.find_spec("lrmctl"):
    from lrmctl.backends.openrlhf.cpu import patches, shim  # noqa: F401  (patches registers itself)

    shim.install()
