"""The published study's prompt sets: real files where they are at hand, samples, study files."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.settings import ReportTable
from clearwinner.plan import study_plan
from generation.plan import Generation, settled
from generation.prompts import Prompt, PromptTable, read_prompts
from generation.prompts.choice import drawn_at_random, drawn_equally, equal_shares
from generation.prompts.prompt import prompt_of
from generation.study import StudyError, read_study_file
from hit_server.hits import checked_hits
from mturk.crowd import Crowd

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data" / "prompts"
needs_real = pytest.mark.skipif(
    not REAL.exists(), reason="the published prompt sets are not beside this checkout"
)


def read(base: Path, seed: int = 3, **table: object) -> list[Prompt]:
    prompts = read_prompts(PromptTable.model_validate(table), seed, base=base)
    assert len({prompt.id for prompt in prompts}) == len(prompts)
    return prompts


def categories(prompts: list[Prompt]) -> dict[str, int]:
    return dict(Counter(prompt.category for prompt in prompts))


@needs_real
def test_drawbench_leaves_out_misspelled_and_rare_words() -> None:
    assert len(read(REAL, kind="drawbench", file="drawbench.csv", exclude=[])) == 200
    left = read(REAL, kind="drawbench", file="drawbench.csv")
    assert len(left) == 183
    assert len(categories(left)) == 9
    with pytest.raises(StudyError, match="Did you mean 'Rare Words'"):
        read(REAL, kind="drawbench", file="drawbench.csv", exclude=["Rare Word"])


@needs_real
def test_parti_is_shared_equally_between_its_categories() -> None:
    rows = (REAL / "PartiPrompts.tsv").read_text(encoding="utf-8").splitlines()[1:]
    assert len(rows) == 1632
    whole = read(REAL, kind="parti", file="PartiPrompts.tsv")
    assert len(whole) == len({row.split("\t")[0].strip() for row in rows})
    some = read(REAL, kind="parti", file="PartiPrompts.tsv", count=500)
    shares = categories(some)
    assert len(some) == 500
    assert len(shares) == 12
    # 40 indoor scenes are all there are; the others make up for them.
    assert shares["Indoor Scenes"] == 40
    assert max(shares.values()) - min(v for k, v in shares.items() if k != "Indoor Scenes") <= 1


@needs_real
def test_pick_a_pic_is_a_prompt_a_line() -> None:
    lines = (REAL / "pick_a_pic_test.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2048
    whole = read(REAL, kind="pick_a_pic", file="pick_a_pic_test.txt")
    assert len(whole) == len({line.strip() for line in lines if line.strip()})
    some = read(REAL, kind="pick_a_pic", file="pick_a_pic_test.txt", count=100)
    assert len(some) == 100
    assert {prompt.id for prompt in some} < {
        prompt.id for prompt in read(REAL, kind="pick_a_pic", file="pick_a_pic_test.txt", count=101)
    }


@needs_real
def test_attend_and_excite_from_its_file_and_from_its_word_lists() -> None:
    published = read(REAL, kind="attend_and_excite", file="a.e_prompts.txt")
    made = read(REAL, kind="attend_and_excite")
    assert categories(published) == categories(made)
    assert categories(made) == {"animals": 66, "animals_objects": 144, "objects": 66}

    def nouns(prompt: Prompt) -> frozenset[str]:
        return frozenset(entity.split()[-1] for entity in prompt.entities)

    def joined(prompt: Prompt) -> str:
        return "with" if " with " in prompt.text else "and"

    for category in categories(made):
        a, b = (
            {(nouns(p), joined(p)) for p in prompts if p.category == category}
            for prompts in (published, made)
        )
        assert a == b
    animals = {p.text for p in published if p.category == "animals"}
    assert {frozenset(t.split(" and ")) for t in animals} == {
        frozenset(p.entities) for p in made if p.category == "animals"
    }


def test_attend_and_excite_keeps_the_things_that_it_names(tmp_path: Path) -> None:
    prompts = {prompt.text: prompt.entities for prompt in read(tmp_path, kind="attend_and_excite")}
    assert prompts["a cat and a dog"] == ("a cat", "a dog")
    assert prompts["an elephant with a crown"] == ("an elephant", "a crown")
    assert all(len(entities) == 2 for entities in prompts.values())
    hundred = read(tmp_path, kind="attend_and_excite", count=100)
    assert sorted(categories(hundred).values()) == [33, 33, 34]
    assert hundred != read(tmp_path, seed=4, kind="attend_and_excite", count=100)


NAMES = [f"thing {number}, Res {number}" for number in range(998)] + ["crane", "crane"]


@pytest.mark.parametrize("form", ["text", "labels", "index"])
def test_imagenet_is_a_thousand_prompts_though_two_names_are_alike(
    tmp_path: Path, form: str
) -> None:
    path = tmp_path / ("names.txt" if form == "text" else "names.json")
    content = {
        "text": "\n".join(NAMES),
        "labels": json.dumps({str(n): name for n, name in enumerate(NAMES)}),
        "index": json.dumps({str(n): [f"n{n:08}", name] for n, name in enumerate(NAMES)}),
    }[form]
    path.write_text(content, encoding="utf-8")
    prompts = read(tmp_path, kind="imagenet", file=path.name)
    assert len(prompts) == 1000
    assert prompts[7].text == "thing 7"
    assert [prompt.text for prompt in prompts[-2:]] == ["crane", "crane"]
    whole = read(
        tmp_path, kind="imagenet", file=path.name, synonyms="all", template="a photo of a {}"
    )
    assert whole[7].text == "a photo of a thing 7, Res 7"


def test_a_hub_that_cannot_be_reached_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(StudyError, match="Download it elsewhere"):
        read(tmp_path, kind="parti")
    with pytest.raises(StudyError, match="of some/where cannot be had"):
        read(tmp_path, kind="text", hub="some/where", hub_file="a.txt")


SIZES = st.dictionaries(st.text("abcdef", min_size=1), st.integers(1, 30), min_size=1, max_size=8)


@given(sizes=SIZES, data=st.data())
def test_shares_are_as_equal_as_the_categories_allow(
    sizes: dict[str, int], data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, sum(sizes.values())))
    shares = equal_shares(sizes, count)
    assert sum(shares.values()) == count
    assert all(shares[name] <= sizes[name] for name in sizes)
    most = max(shares.values())
    assert all(shares[name] >= most - 1 for name in sizes if shares[name] < sizes[name])


@given(sizes=SIZES, seed=st.integers(0, 99), data=st.data())
def test_samples_repeat_nothing_and_depend_on_the_seed_alone(
    sizes: dict[str, int], seed: int, data: st.DataObject
) -> None:
    prompts = [prompt_of(f"{name} {n}", name) for name in sizes for n in range(sizes[name])]
    count = data.draw(st.integers(1, len(prompts)))
    for draw in (drawn_at_random, drawn_equally):
        some = draw(prompts, count, seed)
        assert len({prompt.id for prompt in some}) == count
        assert draw(list(reversed(prompts)), count, seed)[::-1] == some


@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("*.toml")), ids=lambda p: p.stem)
def test_every_study_file_holds(path: Path) -> None:
    file = read_study_file(path)
    table = settled(file.table("generation", Generation), path.parent)
    crowd = file.table("crowd", Crowd)
    file.table("report", ReportTable)
    assert len(checked_hits(file).comparisons) >= 1
    assert (crowd.assignments, crowd.masters, crowd.approval_above) == (10, True, 95)
    assert table.steps == 41


@needs_real
def test_the_published_studies_have_the_published_numbers(tmp_path: Path) -> None:
    """1,200 pairs of Pick-a-Pic; 24 seeds of 100, 100, 183 and 500 prompts; 5,000 of ImageNet."""
    studies = {path.stem: path for path in (ROOT / "studies").glob("*.toml")}
    (tmp_path / "prompts").symlink_to(REAL)
    labels = {str(n): name for n, name in enumerate(NAMES)}
    (tmp_path / "imagenet-1k-id2label.json").write_text(json.dumps(labels), encoding="utf-8")
    images = {}
    for name in ("attend-and-excite", "pick-a-pic", "drawbench", "parti"):
        text = studies[f"{name}-sdxl"].read_text(encoding="utf-8")
        copy = tmp_path / f"{name}.toml"
        copy.write_text(text, encoding="utf-8")
        plan = study_plan(read_study_file(copy))
        images[name] = plan.images // len(plan.methods)
    assert images == {
        "attend-and-excite": 2400,
        "pick-a-pic": 2400,
        "drawbench": 183 * 24,
        "parti": 12000,
    }
