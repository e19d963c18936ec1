"""Python imports this at start-up when its folder is on PYTHONPATH; that is how the shim reaches every Ray worker."""

import os

if os.environ.get("LRMCTL_OPENRLHF_CPU") == "1":
    from lrmctl.backends.openrlhf.cpu import shim

    shim.install()
