"""Weights of rule-based rewards, fitted on labelled completions by a hinge loss over ordered pairs.

Follows OpenAI's rule-based rewards (arXiv 2411.01111), where the hinge loss is on the sum of rules and a reward model's
score, with a margin for each label. The same happens here if rows have such a score and margins are given; otherwise
the rules alone are fitted, with one margin. Held-out pairs never share a prompt with the fitted pairs: every prompt is
held out once, in `folds` parts (20: 95 % and 5 %); the weights that are written are fitted on all prompts.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from lrmctl.errors import LrmctlError
from lrmctl.rewards.builtin.propositions import ValuedPropositions
from lrmctl.rewards.offline.labelled import CLASSES, LabelledCompletion
from lrmctl.types import Part

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]
    Pairs = NDArray[np.int64]


@dataclass(frozen=True)
class FitSettings:
    """Settings of a fit; the paper's by default.

    Attributes:
        margin: least difference of rewards between the better and the worse completion of a pair.
        margins: margin by class of the worse completion, overriding `margin`.
        folds: parts of the prompts, each held out once.
        seed: of the parts.
    """

    margin: float = 1.0
    margins: Mapping[str, float] = field(default_factory=dict)
    learning_rate: float = 1e-2
    steps: int = 1000
    folds: int = 20
    seed: int = 0


class Accuracy(NamedTuple):
    """Share of a held-out prompt's pairs that are ordered correctly. A tie counts half; mean over prompts, 95 %
    interval.

    If completions of several prompts are compared in one pool, a pair counts for the prompts of both.
    """

    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class FittedWeights:
    """The result of a fit.

    Attributes:
        weights: by proposition.
        held_out: accuracy of the weights; `best_single` of the one proposition (and its sign) that orders the other
            folds best.
        completions, failed: completions that were used, and those left out because a proposition failed.
        pairs: ordered pairs among all of them.
        failure: reason of the first failure.
        classes: number of completions by class.
    """

    weights: dict[str, float]
    held_out: Accuracy
    best_single: Accuracy
    completions: int
    failed: int
    pairs: int
    failure: str
    classes: dict[str, int]


def fit(
    rows: Sequence[LabelledCompletion], valued: ValuedPropositions, settings: FitSettings, part: Part = "whole"
) -> FittedWeights:
    """Weights of the propositions, and how well they order held-out pairs.

    Raises:
        LrmctlError: no pairs, or too few prompts to hold some out.
    """
    table, rows, failure, failed = _table(rows, valued, part)
    pairs = ordered_pairs(rows)
    _enough(pairs, rows, settings, failure)
    names = [one.name for one in valued.propositions]
    weights = dict(
        zip(names, hinge_weights(table, pairs, settings, _needed(rows, pairs, settings)).tolist(), strict=True)
    )
    held_out, single = _held_out(table, rows, pairs, settings)
    classes = {name: sum(row.rank == rank for row in rows) for rank, name in enumerate(CLASSES)}
    return FittedWeights(weights, held_out, single, len(rows), failed, len(pairs), failure, classes)


def ordered_pairs(rows: Sequence[LabelledCompletion]) -> Pairs:
    """[pairs, 2]: indices of the better and the worse completion, for all pairs of a pool that differ in class."""
    import numpy as np

    pools: dict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        pools[row.pool].append(i)
    found = [(i, j) for pool in pools.values() for i in pool for j in pool if rows[i].rank < rows[j].rank]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def hinge_weights(table: Matrix, pairs: Pairs, settings: FitSettings, needed: Matrix | None = None) -> Matrix:
    """Weights that minimise the mean of relu(margin + R(worse) - R(better)), R = table @ weights, by AdamW from 0.

    With the score of a reward model R = score + table @ weights; the difference of scores is then part of `needed`.

    Args:
        table: [completions, propositions].
        pairs: [pairs, 2], the better first.
        needed: [pairs], the margin by which the rules must put the better one higher; the margin of `settings` by
            default.

    Returns:
        [propositions].
    """
    import torch

    apart = torch.from_numpy(table[pairs[:, 0]] - table[pairs[:, 1]])
    wanted = torch.full((len(pairs),), settings.margin) if needed is None else torch.from_numpy(needed)
    both = torch.cat([apart, wanted.to(apart.dtype)[:, None]], dim=1)
    both, counts = torch.unique(both, dim=0, return_counts=True)  # labels are binary: few distinct rows
    differences, margins, share = both[:, :-1], both[:, -1], counts / counts.sum()
    weights = torch.zeros(table.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.AdamW([weights], lr=settings.learning_rate, weight_decay=0.0)
    for _ in range(settings.steps):
        optimizer.zero_grad()
        loss = (share * torch.relu(margins - differences @ weights)).sum()
        loss.backward()
        optimizer.step()
    found: Matrix = weights.detach().numpy()
    return found


def _scores(rows: Sequence[LabelledCompletion]) -> Matrix:
    """[completions]: the reward model's score, 0 if there is none."""
    import numpy as np

    return np.array([row.score or 0.0 for row in rows], dtype=np.float64)


def _needed(rows: Sequence[LabelledCompletion], pairs: Pairs, settings: FitSettings) -> Matrix:
    """[pairs]: the margin of the pair, plus the reward model's preference for the worse one."""
    import numpy as np

    scores = _scores(rows)
    margins = [settings.margins.get(CLASSES[rows[worse].rank], settings.margin) for _, worse in pairs]
    found: Matrix = np.array(margins, dtype=np.float64) + scores[pairs[:, 1]] - scores[pairs[:, 0]]
    return found


def _table(
    rows: Sequence[LabelledCompletion], valued: ValuedPropositions, part: Part
) -> tuple[Matrix, list[LabelledCompletion], str, int]:
    """[completions, propositions] of the completions without a failed proposition; propositions that do not apply are
    0."""
    import numpy as np

    values = valued.values([row.trace for row in rows], part)
    errors = [next((value for value in line if isinstance(value, str)), "") for line in values]
    kept = [i for i, error in enumerate(errors) if not error]
    table = np.array([[value or 0.0 for value in values[i]] for i in kept], dtype=np.float64)
    table = table.reshape(len(kept), len(valued.propositions))
    return table, [rows[i] for i in kept], next(filter(None, errors), ""), len(rows) - len(kept)


def _held_out(
    table: Matrix, rows: Sequence[LabelledCompletion], pairs: Pairs, settings: FitSettings
) -> tuple[Accuracy, Accuracy]:
    """Accuracy on pairs of the held-out prompts, of fitted weights and of the best single proposition."""
    import numpy as np

    fold, scores = _folds(rows, settings), _scores(rows)
    right: dict[str, list[Any]] = {"fit": [], "single": []}
    tested = []
    for n in range(settings.folds):
        inside = fold[pairs] == n
        train, test = pairs[~inside.any(axis=1)], pairs[inside.all(axis=1)]
        if not len(train) or not len(test):
            continue
        tested.append(test)
        right["fit"].append(
            _right(scores + table @ hinge_weights(table, train, settings, _needed(rows, train, settings)), test)
        )
        right["single"].append(_right(table @ _best_single(table, train), test))
    if not tested:
        raise LrmctlError("no pair of completions could be held out", fix="give more prompts, or fewer `--folds`")
    both = np.concatenate(tested)
    fitted, single = (_accuracy(both, np.concatenate(found), rows) for found in right.values())
    return fitted, single


def _folds(rows: Sequence[LabelledCompletion], settings: FitSettings) -> Pairs:
    """[completions]: the fold in which each is held out; the completions of a prompt are held out together."""
    import numpy as np

    prompts = sorted({row.asked for row in rows})
    random.Random(settings.seed).shuffle(prompts)
    of = {prompt: i % settings.folds for i, prompt in enumerate(prompts)}
    return np.array([of[row.asked] for row in rows], dtype=np.int64)


def _right(rewards: Matrix, pairs: Pairs) -> Matrix:
    """[pairs]: 1 where the better one has the higher reward, 0.5 for a tie."""
    import numpy as np

    gap = rewards[pairs[:, 0]] - rewards[pairs[:, 1]]
    found: Matrix = np.where(np.abs(gap) < 1e-9, 0.5, (gap > 0).astype(np.float64))
    return found


def _best_single(table: Matrix, pairs: Pairs) -> Matrix:
    """[propositions]: 1 or -1 for the proposition that orders most pairs correctly, 0 for the others."""
    import numpy as np

    scores = np.array([_right(table[:, i], pairs).mean() for i in range(table.shape[1])])
    best = int(np.abs(scores - 0.5).argmax())
    weights = np.zeros(table.shape[1])
    weights[best] = 1.0 if scores[best] >= 0.5 else -1.0
    return weights


def _accuracy(pairs: Pairs, right: Matrix, rows: Sequence[LabelledCompletion]) -> Accuracy:
    """Mean over prompts of the share of its pairs; pairs of one prompt are not independent."""
    import numpy as np

    from lrmctl.stats import interval

    of: dict[str, list[float]] = defaultdict(list)
    for (better, worse), value in zip(pairs, right, strict=True):
        for asked in dict.fromkeys((rows[better].asked, rows[worse].asked)):  # in a fixed order
            of[asked].append(float(value))
    shares = np.array([np.mean(values) for values in of.values()])
    return Accuracy(float(shares.mean()), *interval(shares, k=2))


def _enough(pairs: Pairs, rows: Sequence[LabelledCompletion], settings: FitSettings, failure: str) -> None:
    if not rows:
        raise LrmctlError(f"a proposition failed on every completion; first: {failure}", fix="correct the rules")
    if not len(pairs):
        fix = "pair by a field that more of them share: `--pair-by FIELD`, e.g. response_type of the gold rows"
        raise LrmctlError("no two completions of one pool differ in class", fix=fix)
    if len({row.asked for row in rows}) < settings.folds:
        raise LrmctlError(f"there are fewer prompts than the {settings.folds} folds", fix="give a lower `--folds`")
