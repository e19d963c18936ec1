"""What is known of public data sets by name: where they are, their licence, size and columns.

Facts only; loading is in `fetch`, rows become prompts in `safety`, `mathematics` and `lrmctl.benchmarks`. Each fact was
read in the set's card, in public code that uses it, or in the file itself; `seen` says which. No set is part of lrmctl.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from lrmctl.data.catalog.benchmarks import BENCHMARKS
from lrmctl.data.catalog.entry import DataSet
from lrmctl.data.catalog.reasoning import REASONING
from lrmctl.data.catalog.training import TRAINING

__all__ = ["CATALOG", "DataSet"]

CATALOG: Mapping[str, DataSet] = MappingProxyType({data.name: data for data in (*TRAINING, *BENCHMARKS, *REASONING)})
