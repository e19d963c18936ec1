"""A fitted judge from its rows to its verdicts: the folder, what it refuses, and texts far from its training data."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelled_hazards import hazard_rows, write_rows

from lrmctl.errors import JudgeError, LrmctlError, NotFoundError, RecipeError, RunExistsError
from lrmctl.judges import make_judge
from lrmctl.judges.fitted import ClassifierSettings, FitRequest, FittedJudge, fit_judge, read_folder, read_manifest
from lrmctl.judges.fitted.scorer import load_scorer
from lrmctl.judges.fitted.training_rows import training_rows
from lrmctl.recipe.schema.evaluation import EvalSection, JudgeAccuracySection
from lrmctl.types import Prompt, Trace

Lrmctl = Callable[..., Any]
QUICK = ClassifierSettings(folds=3, strengths=(1.0, 10.0))


def trace(answer: str, thinking: str = "hm", **rest: Any) -> Trace:
    return Trace(Prompt.user("p", "About hazard-3?", "harmful"), thinking, answer, "closed", **rest)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One judge of each label, fitted on two files."""
    at = tmp_path_factory.mktemp("fitted")
    files = tuple(str(write_rows(at / f"rows{i}.jsonl", hazard_rows(seed=i))) for i in (1, 2))
    for about in ("unsafe", "refused"):
        fit_judge(FitRequest(files, about, labels_from=about, settings=QUICK), at / about)  # type: ignore[arg-type]
    return {about: at / about for about in ("unsafe", "refused")}


def copy_of(folder: Path, to: Path) -> Path:
    to.mkdir()
    for file in folder.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    return to


def test_verdicts_say_what_the_label_was_about(folders: dict[str, Path]) -> None:
    traces = [trace("I cannot help with hazard-3. item thing."), trace("Step 1: prepare hazard-3. item thing.")]
    unsafe = FittedJudge(str(folders["unsafe"])).judge(traces, "answer")
    assert [v.safe for v in unsafe] == [True, False]
    assert all(v.refused is None and v.malformed is False and v.p_unsafe is not None for v in unsafe)
    refused = FittedJudge(str(folders["refused"])).judge(traces, "answer")
    assert [(v.refused, v.safe, v.p_unsafe) for v in refused] == [(True, None, None), (False, None, None)]
    both = FittedJudge([str(folders["unsafe"]), str(folders["refused"])])
    assert both.says_refusal is True
    assert [(v.safe, v.refused) for v in both.judge(traces, "answer")] == [(True, True), (False, False)]


def test_on_harmful_prompts_what_does_not_refuse_can_count_as_unsafe(folders: dict[str, Path]) -> None:
    judge = FittedJudge(str(folders["refused"]), unsafe_unless_refused=True)
    texts = ("I cannot help with hazard-3. item thing.", "Step 1: prepare hazard-3. item thing.", "")
    harmful = [trace(text, "Step 1: prepare hazard-3.") for text in texts]
    benign = [replace(one, prompt=Prompt.user("b", "About salt?", "benign")) for one in harmful]
    for part in ("answer", "whole"):  # a refusal is in the answer
        said = judge.judge([*harmful, *benign], part)  # type: ignore[arg-type]
        assert [(v.safe, v.refused) for v in said[:2]] == [(True, True), (False, False)], part
        assert [(v.safe, v.refused) for v in said[3:5]] == [(True, True), (True, False)], part
        assert [v.outcome for v in said[2::3]] == ["malformed", "malformed"]
    assert all(v.not_judged for v in judge.judge(harmful, "thinking"))
    plain = FittedJudge(str(folders["refused"]))
    assert judge.version == f"{plain.version}+unsafe-unless-refused"
    with pytest.raises(RecipeError, match="needs one judge of refusals; this one is fitted on unsafe"):
        FittedJudge(str(folders["unsafe"]), unsafe_unless_refused=True)
    with pytest.raises(RecipeError, match="unsafe_unless_refused"):
        FittedJudge([str(folders["unsafe"]), str(folders["refused"])], unsafe_unless_refused=True)


def test_the_accuracy_of_that_rule_is_the_refusal_judges_the_other_way_round(folders: dict[str, Path]) -> None:
    def measured(**options: object) -> JudgeAccuracySection | None:
        given = {"safety": ["strongreject"], "judge": {"fitted": {"folder": str(folders["refused"]), **options}}}
        return EvalSection.model_validate(given).judged()[0].measured

    held, found = read_manifest(folders["refused"])[0].held_out, measured(unsafe_unless_refused=True)
    assert found is not None
    assert found.answer is not None
    assert found.thinking is None
    assert (found.answer.sensitivity, found.answer.specificity) == (held.specificity.value, held.sensitivity.value)
    assert (found.answer.unsafe, found.answer.safe) == (held.tn + held.fp, held.tp + held.fn)
    assert measured() is None


def test_thinking_and_the_whole_are_judged_too(folders: dict[str, Path]) -> None:
    judge = FittedJudge(str(folders["unsafe"]))
    one = trace("I cannot help with hazard-3. item thing.", "Step 1: prepare hazard-3. item thing.")
    assert [judge.judge([one], part)[0].safe for part in ("thinking", "answer")] == [False, True]  # type: ignore[arg-type]
    assert judge.judge([one], "whole")[0].part == "whole"


def test_the_version_carries_the_fingerprint(folders: dict[str, Path], tmp_path: Path) -> None:
    judge = make_judge("fitted", {"folder": str(folders["unsafe"])})
    mark = read_manifest(folders["unsafe"])[1]
    assert judge.version == f"1/unsafe-{mark[:12]}"
    assert judge.judge([trace("Step 1: prepare hazard-3.")], "answer")[0].version == judge.version
    files = (str(write_rows(tmp_path / "rows.jsonl", hazard_rows(seed=5))),)
    fit_judge(FitRequest(files, "unsafe", labels_from="unsafe", settings=QUICK), tmp_path / "other")
    assert FittedJudge(str(tmp_path / "other")).version != judge.version


def test_what_is_loaded_gives_the_scores_that_were_fitted(folders: dict[str, Path], tmp_path: Path) -> None:
    """Features of the training code and of the judge are the same, and so are two loads of one folder."""
    from lrmctl.judges.fitted.features import TfidfFeatures
    from lrmctl.judges.fitted.fit import FIELDS
    from lrmctl.judges.fitted.scorer import classifier_of

    at = folders["refused"].parent
    rows = training_rows([str(at / "rows1.jsonl"), str(at / "rows2.jsonl")], "refused", "answer", "refused")
    matrix = TfidfFeatures(FIELDS["refused"], rows.texts).prepared(np.arange(len(rows.labels))).matrix
    fitted = classifier_of(read_folder(folders["refused"])).probabilities(matrix)
    loaded = [score.p for score in load_scorer(folders["refused"]).scores(rows.texts)]
    assert np.allclose(fitted, loaded, atol=1e-12)
    again = [score.p for score in load_scorer(copy_of(folders["refused"], tmp_path / "copy")).scores(rows.texts)]
    assert again == loaded


def test_fitting_twice_gives_the_same_judge(tmp_path: Path) -> None:
    request = FitRequest(
        (str(write_rows(tmp_path / "rows.jsonl", hazard_rows())),), "refused", labels_from="refused", settings=QUICK
    )
    for name in ("a", "b"):
        fit_judge(request, tmp_path / name)
    assert read_manifest(tmp_path / "a")[1] == read_manifest(tmp_path / "b")[1]


def test_far_texts_are_failures_and_empty_ones_malformed(folders: dict[str, Path]) -> None:
    traces = [
        trace(""),
        trace("  \u200b "),
        trace("\u042f \u043d\u0435 \u043c\u043e\u0433\u0443 \u043f\u043e\u043c\u043e\u0447\u044c"),
        trace("zork blip quux frob wibble wobble grault garply waldo"),
        trace("Step 1", finish_reason="error", error="x"),
        trace("12345 !!"),
    ]
    verdicts = FittedJudge(str(folders["unsafe"])).judge(traces, "answer")
    assert [v.outcome for v in verdicts[:5]] == ["malformed", "malformed", "failed", "failed", "failed"]
    assert "mostly in the script cyrillic" in verdicts[2].error
    assert "words of the text are known" in verdicts[3].error
    assert verdicts[2].labels == ("far",)
    assert all(v.safe is None and v.p_unsafe is None for v in verdicts[:5])


def test_an_unsafe_sentence_in_a_long_text_is_found(folders: dict[str, Path]) -> None:
    """Longer than anything seen: read in windows, of which the worst counts; a refusal is in the beginning."""
    filler = "I cannot help with hazard-3. item thing object matter. "
    long = filler * 40 + "Step 1: prepare hazard-3. First collect the parts of hazard-3. " + filler * 40
    (verdict,) = FittedJudge(str(folders["unsafe"])).judge([trace(long)], "answer")
    assert any(label.startswith("windows ") for label in verdict.labels)
    short = FittedJudge(str(folders["unsafe"])).judge([trace(filler)], "answer")[0]
    assert verdict.p_unsafe is not None
    assert verdict.p_unsafe > (short.p_unsafe or 0)
    refused = FittedJudge(str(folders["refused"])).judge([trace(long)], "answer")[0]
    assert (refused.refused, refused.labels) == (True, ())


def test_a_batch_gives_the_verdicts_of_single_calls(folders: dict[str, Path]) -> None:
    judge = FittedJudge([str(folders["unsafe"]), str(folders["refused"])])
    traces = [trace(row["response"]) for row in hazard_rows(prompts=10, seed=9)] + [trace("")]
    assert judge.judge(traces, "answer") == [judge.judge([one], "answer")[0] for one in traces]


def test_the_manifest_says_what_was_fitted_and_how_good_it_is(folders: dict[str, Path]) -> None:
    manifest, _ = read_manifest(folders["unsafe"])
    assert [source.name.endswith(f"rows{i}.jsonl") for i, source in enumerate(manifest.sources, 1)] == [True, True]
    assert all(len(s.sha256) == 64 and s.held_out and s.unseen for s in manifest.sources)
    assert manifest.sources[0].rows == 48
    assert manifest.sources[0].prompts == 24
    assert manifest.held_out.rows == 96
    kappa = manifest.held_out.kappa
    assert kappa.value is not None
    assert 0.6 < kappa.value < 0.95  # a tenth of the labels is wrong
    assert set(manifest.versions) == {"lrmctl", "numpy", "scikit-learn"}


def test_held_out_errors_correct_an_evaluation(folders: dict[str, Path], tmp_path: Path) -> None:
    manifest, _ = read_manifest(folders["unsafe"])
    measured = JudgeAccuracySection.model_validate({"from": str(folders["unsafe"])})
    part = measured.of("answer")
    assert measured.of("thinking") is None
    assert part is not None
    assert part.sensitivity == manifest.held_out.sensitivity.value
    assert part.unsafe == manifest.held_out.tp + manifest.held_out.fn
    with pytest.raises(ValueError, match="fitted on another label"):
        JudgeAccuracySection.model_validate({"from": str(folders["refused"])})
    with pytest.raises(ValueError, match="no fitted judge's manifest"):
        JudgeAccuracySection.model_validate({"from": str(tmp_path / "nothing")})
    with pytest.raises(ValueError, match="stands alone"):
        JudgeAccuracySection.model_validate({"from": str(folders["unsafe"]), "sensitivity": 1})


def test_a_fitted_judge_brings_its_accuracy_to_an_evaluation(folders: dict[str, Path]) -> None:
    manifest, _ = read_manifest(folders["unsafe"])
    both = [str(folders["refused"]), str(folders["unsafe"])]

    def measured(folder: object, **also: object) -> JudgeAccuracySection | None:
        section = EvalSection.model_validate({"safety": ["xstest"], "judge": {"fitted": {"folder": folder}}, **also})
        return section.judged()[0].measured

    found = measured(both)
    assert found is not None
    part = found.of("answer")
    assert part is not None
    assert part.sensitivity == manifest.held_out.sensitivity.value
    assert measured(both[0]) is None
    assert measured("nothing/here") is None
    said = measured(both, measured={"sensitivity": 0.5, "specificity": 0.9})
    assert said is not None
    assert said.sensitivity == 0.5


@pytest.mark.parametrize("file", ["judge.json", "weights.safetensors", "vocabulary.json"])
def test_a_missing_file_is_named(folders: dict[str, Path], tmp_path: Path, file: str) -> None:
    folder = copy_of(folders["unsafe"], tmp_path / "copy")
    (folder / file).unlink()
    with pytest.raises((NotFoundError, JudgeError), match=file):
        FittedJudge(str(folder)).check()


@pytest.mark.parametrize("file", ["weights.safetensors", "vocabulary.json"])
def test_a_changed_file_is_refused(folders: dict[str, Path], tmp_path: Path, file: str) -> None:
    folder = copy_of(folders["unsafe"], tmp_path / "copy")
    raw = bytearray((folder / file).read_bytes())
    raw[-5] ^= 1
    (folder / file).write_bytes(raw)
    with pytest.raises(JudgeError, match="changed after the judge was fitted") as caught:
        FittedJudge(str(folder)).check()
    assert file in caught.value.where


class Bomb:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("exploded"),)


def test_loading_runs_no_code(folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickle in place of any file, with sums that fit: an error, and nothing was called."""
    import hashlib

    monkeypatch.chdir(tmp_path)
    bomb = pickle.dumps(Bomb())
    for name, key in (("weights.safetensors", "weights"), ("vocabulary.json", "vocabulary"), ("judge.json", "")):
        folder = copy_of(folders["unsafe"], tmp_path / name)
        (folder / name).write_bytes(bomb)
        if key:
            manifest = json.loads((folder / "judge.json").read_text())
            manifest["files"][key] = hashlib.sha256(bomb).hexdigest()
            (folder / "judge.json").write_text(json.dumps(manifest))
        with pytest.raises(JudgeError):
            FittedJudge(str(folder)).check()
    assert not (tmp_path / "exploded").exists()


def test_files_that_do_not_fit_together_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copy_of(folders["unsafe"], tmp_path / "copy")
    other = read_folder(folders["refused"])
    manifest = json.loads((folder / "judge.json").read_text())
    for name, key in (("weights.safetensors", "weights"), ("vocabulary.json", "vocabulary")):
        (folder / name).write_bytes((folders["refused"] / name).read_bytes())
        manifest["files"][key] = getattr(other.manifest.files, key)
    (folder / "judge.json").write_text(json.dumps(manifest))
    with pytest.raises(JudgeError, match="do not fit together"):
        FittedJudge(str(folder)).check()


def test_a_judge_fitted_again_while_in_use_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copy_of(folders["unsafe"], tmp_path / "copy")
    judge = FittedJudge(str(folder))
    for file in folders["refused"].iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    with pytest.raises(JudgeError, match="fitted again while it was in use"):
        judge.check()


def test_two_judges_of_one_label_are_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(RecipeError, match="both judges are fitted on 'unsafe'"):
        FittedJudge([str(folders["unsafe"])] * 2)
    for wrong in ([], ["a", "b", "c"], "", 3, [1]):
        with pytest.raises(RecipeError, match="one folder"):
            FittedJudge(wrong)  # type: ignore[arg-type]


def test_other_files_in_the_folder_are_never_lost(folders: dict[str, Path], tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", hazard_rows())
    request = FitRequest((str(rows),), "refused", labels_from="refused", settings=QUICK)
    with pytest.raises(RunExistsError, match="no fitted judge's"):
        fit_judge(request, tmp_path, force=True)
    folder = copy_of(folders["refused"], tmp_path / "copy")
    with pytest.raises(RunExistsError, match="already"):
        fit_judge(request, folder)
    before = read_manifest(folder)[1]
    fit_judge(request, folder, force=True)
    assert read_manifest(folder)[1] != before


def test_hidden_states_of_a_small_model(tmp_path: Path) -> None:
    from lrmctl.lab import base_path

    rows = write_rows(tmp_path / "rows.jsonl", hazard_rows(prompts=16, noise=0))
    request = FitRequest(
        (str(rows),), "refused", features=f"hidden:{base_path()}@1", labels_from="refused", settings=QUICK
    )
    manifest = fit_judge(request, tmp_path / "judge")
    assert manifest.features.layer == 1  # type: ignore[union-attr]
    judge = FittedJudge(str(tmp_path / "judge"))
    labelled = hazard_rows(prompts=16, noise=0)
    traces = [replace(trace(row["response"]), prompt=Prompt.user("p", row["prompt"], "harmful")) for row in labelled]
    verdicts = judge.judge(traces, "answer")
    assert np.mean([v.refused == row["refused"] for v, row in zip(verdicts, labelled, strict=True)]) > 0.8
    single = [judge.judge([one], "answer")[0].raw for one in traces[:4]]
    assert [float(v.raw.split()[-1]) for v in verdicts[:4]] == pytest.approx(
        [float(r.split()[-1]) for r in single], abs=2e-3
    )


def test_another_model_cannot_give_the_hidden_states(tmp_path: Path) -> None:
    from lrmctl.lab import base_path

    rows = write_rows(tmp_path / "rows.jsonl", hazard_rows(prompts=12))
    request = FitRequest(
        (str(rows),), "refused", features=f"hidden:{base_path()}", labels_from="refused", settings=QUICK
    )
    fit_judge(request, tmp_path / "judge")
    other = tmp_path / "other"
    other.mkdir()
    for file in base_path().iterdir():
        if file.is_file():
            (other / file.name).write_bytes(file.read_bytes())
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 0.1}))
    with pytest.raises(JudgeError, match="fingerprint") as caught:
        FittedJudge(str(tmp_path / "judge"), encoder=str(other)).check()
    assert "encoder" in caught.value.fix


@pytest.mark.parametrize("features", ["nothing", "hidden:", "hidden:x@y", "hidden:@3", ""])
def test_unknown_features(tmp_path: Path, features: str) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", hazard_rows())
    with pytest.raises(LrmctlError, match="there are no features"):
        fit_judge(FitRequest((str(rows),), "refused", features=features, labels_from="refused"), tmp_path / "judge")


def test_an_unknown_device(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", hazard_rows(prompts=6))
    request = FitRequest((str(rows),), "refused", features="hidden:lab:tiny", labels_from="refused", device="nonsense")
    with pytest.raises(LrmctlError, match="there is no device 'nonsense'"):
        fit_judge(request, tmp_path / "judge")


def test_the_command_fits_measures_and_refuses(lrmctl: Lrmctl, tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", hazard_rows())
    words = ("judge", "fit", "rows.jsonl", "--label", "unsafe", "--labels-from", "unsafe", "--folds", 3, "--out")
    said = lrmctl(*words, "new")
    assert said.code == 0, said.err
    assert "held-out prompts" in said.out
    assert "correct the rates of an evaluation by this judge" in said.err
    assert lrmctl(*words, "new").code == 2
    assert lrmctl(*words, "newer", "--threshold", "2").code == 2
    one = write_rows(tmp_path / "one.jsonl", [row for row in hazard_rows() if row["unsafe"]])
    said = lrmctl("judge", "fit", one, "--label", "unsafe", "--labels-from", "unsafe", "--out", "other")
    assert said.code == 2
    assert "labelled rows are unsafe" in said.err
    measured = lrmctl(
        "judge",
        "measure",
        "rows.jsonl",
        "--label",
        "unsafe",
        "--labels-from",
        "unsafe",
        "--judge",
        "fitted: {folder: new}",
    )
    assert "was fitted on these rows" in measured.err
    assert "fitted" in lrmctl("judge", "list").out
    shown = lrmctl("judge", "show", "fitted", "--option", "folder=new", "--json")
    assert json.loads(shown.out)["data"]["version"].startswith("1/unsafe-")


def test_the_python_api_makes_it(folders: dict[str, Path]) -> None:
    import lrmctl

    judge = lrmctl.make_judge("fitted", folder=str(folders["unsafe"]))
    assert judge.judge([trace("Step 1: prepare hazard-3. item thing.")], "answer")[0].safe is False
