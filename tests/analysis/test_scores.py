"""Automatic scores beside the votes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.report import make_report
from analysis.scores import analyse_scores, read_scores
from analysis.settings import ScoresFile
from analysis.votes import VotesError
from generation.manifest import read_manifest
from generation.study import read_study_file

Make = Callable[..., Any]


def table(number: int = 40, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [
        {"prompt_id": f"p{prompt}", "seed": 0, "method": method, "clip": rng.normal(lead)}
        for prompt in range(number)
        for method, lead in (("cfg", 0.0), ("dnp", 0.4))
    ]
    found = pd.DataFrame(rows)
    found["distance"] = -found["clip"]
    return found


def read(folder: Path, frame: pd.DataFrame, **settings: Any) -> pd.DataFrame:
    frame.to_csv(folder / "scores.csv", index=False)
    return read_scores(ScoresFile(file="scores.csv", **settings), [], base=folder)


def test_win_rates_and_paired_tests_are_scipys(tmp_path: Path) -> None:
    frame = table()
    found = analyse_scores(
        read(tmp_path, frame, lower_is_better=["distance"]), pd.DataFrame(),
        level=0.95, resamples=100, seed=0,
    )  # fmt: skip
    clip, distance = found.rates
    wide = frame.pivot(index="prompt_id", columns="method", values="clip")
    assert clip.t == pytest.approx(stats.ttest_rel(wide["cfg"], wide["dnp"]).pvalue)
    assert clip.wilcoxon == pytest.approx(stats.wilcoxon(wide["cfg"], wide["dnp"]).pvalue)
    wins = int((wide["cfg"] > wide["dnp"]).sum())
    assert (clip.wins, clip.ties, clip.losses) == (wins, 0, 40 - wins)
    assert clip.sign == pytest.approx(stats.binomtest(wins, 40).pvalue)
    assert clip.holm == pytest.approx(2 * (clip.t or 0))
    assert distance.win_rate == clip.win_rate, "less is better there"
    assert found.predictions == ()


def test_a_metric_that_is_the_votes_predicts_them(frame_of: Callable[..., pd.DataFrame]) -> None:
    rng = np.random.default_rng(1)
    leads = rng.permutation(np.arange(-5, 6, 2).repeat(5))
    votes = frame_of(
        [
            (f"c{number}", f"w{worker}", "cfg" if worker < (5 + lead) / 2 else "dnp")
            for number, lead in enumerate(leads)
            for worker in range(5)
        ]
    )
    scores = pd.DataFrame(
        [
            {"prompt_id": f"c{number}", "seed": 0.0, "method": method, "oracle": lead * side,
             "even": 1.0, "noise": rng.normal()}
            for number, lead in enumerate(leads)
            for method, side in (("cfg", 0.5), ("dnp", -0.5))
        ]
    )  # fmt: skip
    found = analyse_scores(scores, votes, level=0.95, resamples=200, seed=0)
    oracle, even, noise = found.predictions
    assert oracle.accuracy is not None and oracle.accuracy.value == 1
    assert oracle.correlation is not None and oracle.correlation.value == pytest.approx(1)
    assert even.accuracy is not None and even.accuracy.value == 0.5
    assert even.correlation is None
    assert noise.correlation is not None and noise.correlation.interval is not None
    assert noise.correlation.interval.low < 0 < noise.correlation.interval.high
    assert found.without_score == 0
    fewer = analyse_scores(scores[2:], votes, level=0.95, resamples=100, seed=0)
    assert fewer.without_score == 1
    assert fewer.predictions[0].comparisons == len(leads) - 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clip": "high"}, r"row 2: clip = 'high' is no finite number"),
        ({"prompt_id": "p1"}, "comes twice"),
    ],
)
def test_a_wrong_table_names_row_and_value(
    tmp_path: Path, change: dict[str, str], message: str
) -> None:
    frame = table().astype("object")
    for name, value in change.items():
        frame.loc[0, name] = value
    with pytest.raises(VotesError, match=message):
        read(tmp_path, frame)
    with pytest.raises(VotesError, match="no column 'clap'"):
        read(tmp_path, table(), metrics=["clap"])


def test_the_report_shows_scores_named_by_sha256(make_study: Make) -> None:
    study = make_study()
    rows = read_manifest(study.place)
    frame = pd.DataFrame({"sha256": [row.sha256 for row in rows], "size": range(len(rows))})
    frame.to_csv(study.file.path.parent / "scores.csv", index=False)
    text = study.file.path.read_text() + '[report.scores]\nfile = "scores.csv"\n'
    study.file.path.write_text(text)
    report = make_report(read_study_file(study.file.path), engine=study.engine)
    assert report.content.scores is not None
    assert {rate.wins for rate in report.content.scores.rates} == {0}
    assert "Do the scores predict the votes?" in report.page.read_text()
    frame["sha256"] = "0" * 64
    frame.to_csv(study.file.path.parent / "scores.csv", index=False)
    with pytest.raises(VotesError, match="not in the manifest"):
        make_report(read_study_file(study.file.path), engine=study.engine)
