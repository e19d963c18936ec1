"""`lrmctl judge measure --label word`: judges against labels of several words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lrmctl.cli.commands.judge.options import Parts
from lrmctl.cli.common import rows_thinking

if TYPE_CHECKING:
    from lrmctl.judges.offline.words import WordMeasurement
    from lrmctl.judges.spec import JudgeSpec


def measure_and_show(
    named: Sequence[JudgeSpec], file: str, field: str, part: Parts, thinking: str | None, *, as_md: bool, as_json: bool
) -> bool:
    """Measure judges on the words of a field and print the result; returns whether a judge failed on a row."""
    from lrmctl import console
    from lrmctl.judges.offline import render
    from lrmctl.judges.offline.words import measure_words, read_word_labels

    with rows_thinking(thinking):
        labelled = read_word_labels(file, field)
    with console.progress(f"measure on {file}") as on_progress:
        found = measure_words(named, labelled, part.value, on_progress)
    left = f"; {labelled.unlabelled} rows without a label left out" if labelled.unlabelled else ""
    head = f"words: {len(labelled.labels)} rows; labels: {labelled.source}; judged: {part.value}{left}"
    if as_json:
        console.emit_json("judge measure", {"source": labelled.source, "judges": render.plain_words(found)})
    elif as_md:
        console.out.print(render.words_markdown(head, found), markup=False)
    else:
        console.out.print(head, markup=False)
        console.table("", *render.words_table(found))
        for one in found:
            console.table("", *render.confusion_table(one))
    _say_failures(found)
    return any(one.failed for one in found)


def _say_failures(found: Sequence[WordMeasurement]) -> None:
    from lrmctl import console

    for one in found:
        console.say(f"{one.title}: version {one.version}")
        for failure in one.failures:
            console.say(f"{one.title} failed on {failure['count']}, e.g. {failure['error']}")
