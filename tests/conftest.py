"""What all tests need."""

from __future__ import annotations

import signal

from hypothesis import settings

# a shell that starts the tests in the background makes them ignore Ctrl-C, and whatever they start inherits that
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# an example's time tells of the machine and of what it imports first, not of what is tested
settings.register_profile("lrmctl", deadline=None)
settings.load_profile("lrmctl")
