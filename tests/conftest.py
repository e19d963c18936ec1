"""What all tests need."""

from __future__ import annotations

import signal

# a shell that starts the tests in the background makes them ignore Ctrl-C, and whatever they start inherits that
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
