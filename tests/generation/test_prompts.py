"""Prompt readers, against files of every kind and the published prompt sets."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from generation.prompts import PromptTable, read_prompts
from generation.shapes.scenes import fold_of, held_out
from generation.study import StudyError


def read(base: Path, **table: object) -> list[tuple[str, str]]:
    prompts = read_prompts(PromptTable.model_validate(table), 3, base=base)
    assert len({prompt.id for prompt in prompts}) == len(prompts)
    return [(prompt.text, prompt.category) for prompt in prompts]


def test_files_of_every_kind(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n\n two \none\n", encoding="utf-8")
    assert read(tmp_path, kind="text", file="a.txt") == [("one", ""), ("two", "")]
    (tmp_path / "a.csv").write_text('Prompt,Kind\n"a, b",x\n"c ""d""",y\n', encoding="utf-8")
    rows = read(tmp_path, kind="csv", file="a.csv", category_column="Kind")
    assert rows == [("a, b", "x"), ('c "d"', "y")]
    (tmp_path / "a.tsv").write_text('T\tK\n"half a quote\tx\n', encoding="utf-8")
    assert read(tmp_path, kind="tsv", file="a.tsv", column="T") == [('"half a quote', "")]
    (tmp_path / "a.jsonl").write_text('{"Prompt": "one"}\n\n{"Prompt": "two"}\n', encoding="utf-8")
    assert read(tmp_path, kind="jsonl", file="a.jsonl") == [("one", ""), ("two", "")]
    pd.DataFrame({"caption": ["one", None, "two"], "of": ["x", "y", "z"]}).to_parquet(
        tmp_path / "a.parquet"
    )
    rows = read(tmp_path, kind="parquet", file="a.parquet", column="caption", category_column="of")
    assert rows == [("one", "x"), ("two", "z")]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"kind": "text", "file": "no.txt"}, "no.txt"),
        ({"kind": "text"}, "file is missing"),
        ({"kind": "scenes"}, "count is missing"),
        ({"kind": "scenes", "count": 10_000_000}, "10000000"),
        ({"kind": "csv", "file": "a.csv", "column": "Promt"}, "'Prompt'"),
        ({"kind": "text", "file": "empty.txt"}, "no prompt"),
        ({"kind": "text", "file": "one.txt", "count": 2}, "only 1"),
        ({"kind": "jsonl", "file": "broken.jsonl"}, "line 2: not JSON"),
        ({"kind": "parquet", "file": "one.txt"}, "not a Parquet file"),
        ({"kind": "text", "file": "latin.txt"}, "UTF-8"),
        ({"kind": "imagenet", "file": "one.txt"}, "has 1 class names"),
        ({"kind": "attend_and_excite", "file": "broken.jsonl"}, "not JSON"),
        ({"kind": "attend_and_excite", "count": 300}, "only 276"),
        ({"kind": "attend_and_excite", "exclude": ["animal"]}, "Did you mean 'animals'"),
        ({"kind": "drawbench"}, "file is missing"),
        ({"kind": "text", "file": "one.txt", "count": 1, "stratify": True}, "category_column"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, table: dict[str, object], says: str) -> None:
    (tmp_path / "a.csv").write_text("Prompt\nx\n", encoding="utf-8")
    (tmp_path / "empty.txt").write_text("\n\n", encoding="utf-8")
    (tmp_path / "one.txt").write_text("one\n", encoding="utf-8")
    (tmp_path / "broken.jsonl").write_text('{"Prompt": "x"}\n{oh', encoding="utf-8")
    (tmp_path / "latin.txt").write_bytes("Gänse\n".encode("latin-1"))
    with pytest.raises(StudyError, match=says):
        read(tmp_path, **table)


def test_scenes_are_held_out_and_not_the_ones_that_scales_are_tuned_on() -> None:
    rows = read(Path(), kind="scenes", count=24)
    assert len(rows) == 24
    assert all(held_out(text) and fold_of(text) == "test" for text, _ in rows)
    assert {category for _, category in rows} == {"one object", "two objects", "three objects"}


def test_plans_and_prompts_load_no_torch() -> None:
    code = (
        "import sys, generation.plan, generation.prompts, generation.manifest, generation.jobs\n"
        "import hit_server.app, mturk.collect, analysis.report\n"
        "assert not {'torch', 'diffusers', 'transformers'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
