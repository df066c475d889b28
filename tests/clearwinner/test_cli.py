"""The command line: quick help without torch, and errors that name file, key and value."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.conftest import scratch_study

REHEARSAL = Path(__file__).parents[2] / "studies" / "rehearsal.toml"


def clearwinner(*args: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "clearwinner.cli", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from clearwinner.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'pandas', 'matplotlib', 'boto3', 'flask'}\n"
        "print('LOADED', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "LOADED []" in done.stdout
    for verb in ("validate", "generate", "launch", "status", "collect", "approve", "report"):
        assert verb in done.stdout


def test_validate_prints_the_plan() -> None:
    done = clearwinner("validate", REHEARSAL)
    assert done.returncode == 0, done.stderr
    for part in ("72", "48", "480", "960", "$72.00"):
        assert part in done.stdout, part
    # 24 images each: 82, 164 and 292 network evaluations (facts of the methods at 41 steps).
    for part in ("1,968", "3,936", "7,008", "12,912"):
        assert part in done.stdout, part


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("steps = 41", "stepz = 41", ("generation.stepz", "'steps'")),
        ("steps = 41", 'steps = "many"', ("generation.steps", "'many'")),
        ('kind = "answer"', 'kind = "anwser"', ("anwser", "'answer'")),
        ('["cfg", "answer"]', '["cfg", "anser"]', ("hits.comparisons", "anser", "'answer'")),
        ("[crowd]", "[crowds]", ("[crowds]", "'crowd'")),
        ('reward_usd = "0.10"', "reward_usd = 0.10", ("crowd.reward_usd", "quote")),
        ('budget_usd = "100.00"', 'budget_usd = "5.00"', ("crowd.budget_usd", "72.00")),
        ("examples = 3", "exampels = 3", ("report.exampels", "'examples'")),
        ('name = "rehearsal"', 'name = "Not A Name"', ("study.name", "Not A Name")),
        ("s_neg = 1.0", "s_negg = 1.0", ("s_negg", "'s_neg'")),
        ("[study]", "[study", ("not valid TOML",)),
    ],
)
def test_a_wrong_study_file_is_named_with_its_remedy(
    tmp_path: Path, old: str, new: str, says: tuple[str, ...]
) -> None:
    text = REHEARSAL.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "wrong.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    done = clearwinner("validate", path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert str(path) in done.stderr
    for part in says:
        assert part in done.stderr, (part, done.stderr)


def test_a_missing_study_file() -> None:
    done = clearwinner("validate", "nowhere.toml")
    assert done.returncode == 2
    assert "nowhere.toml: no such study file" in done.stderr


@pytest.mark.parametrize("kind", ["--sandbox", "--production"])
def test_amazons_endpoints_explain_that_the_service_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    # A proxy that refuses stands for a network from which Amazon can't be reached.
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    path = tmp_path / "study.toml"
    text = REHEARSAL.read_text(encoding="utf-8").replace(
        "seed = 20261123", f'seed = 20261123\nfolder = "{tmp_path}/run"', 1
    )
    path.write_text(text, encoding="utf-8")
    done = clearwinner("status", path, kind)
    assert done.returncode == 2, done.stdout
    assert "30 September 2026" in done.stderr
    assert "clearwinner marketplace" in done.stderr


def test_several_processes_serve_a_studys_pages(tmp_path: Path) -> None:
    file = scratch_study(tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "clearwinner.cli", "serve", str(file.path)]
    server = subprocess.Popen(
        [*command, "--workers", "2", "--port", str(port)], stderr=subprocess.PIPE, text=True
    )
    try:
        for _ in range(150):
            try:
                found = httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5)
                break
            except httpx.ConnectError:
                time.sleep(0.2)
        assert found.json() == {"status": "ok"}
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0


def test_images_are_put_on_another_host_once(tmp_path: Path) -> None:
    file = scratch_study(tmp_path, scenes=2)
    target = tmp_path / "host"
    assert "4 images are new" in clearwinner("host-images", file.path, "--to", target).stdout
    assert "0 images are new" in clearwinner("host-images", file.path, "--to", target).stdout
    sizes = {path.stat().st_size for path in target.glob("*.png")}
    assert len(list(target.iterdir())) == 4
    assert len(sizes) == 1
    taken = clearwinner("host-images", file.path, "--to", file.path)
    assert taken.returncode == 2
    assert "cannot store images" in taken.stderr
