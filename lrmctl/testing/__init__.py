"""The contracts of plugins as checks for their authors: call one from a test; it raises `ContractError` or returns."""

from __future__ import annotations

from lrmctl.testing.checks import ContractError as ContractError
from lrmctl.testing.checks import check_benchmark as check_benchmark
from lrmctl.testing.checks import check_judge as check_judge
from lrmctl.testing.checks import check_lexicon as check_lexicon
from lrmctl.testing.checks import check_reward as check_reward
from lrmctl.testing.checks import check_source as check_source
from lrmctl.testing.checks import check_thinking_format as check_thinking_format
from lrmctl.testing.checks import sample_traces as sample_traces
