"""What all tests share: a scratch study with images, and real databases."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from generation.manifest import ManifestRow, append, as_png, image_path, store_bytes
from generation.study import StudyFile, read_study_file

STUDY = """
[study]
name = "scratch"
title = "A scratch study"
seed = 7
folder = "{folder}"
[generation]
[generation.prompts]
kind = "scenes"
count = 3
[generation.methods.alpha]
kind = "cfg"
[generation.methods.beta]
kind = "cfg"
scale = 2.0
[generation.methods.gamma]
kind = "cfg"
scale = 3.0
[hits]
comparisons = {comparisons}
[crowd]
assignments = {assignments}
reward_usd = "0.10"
budget_usd = "{budget}"
"""


def scratch_study(
    folder: Path,
    *,
    scenes: int = 3,
    assignments: int = 4,
    comparisons: str = '[["alpha", "beta"]]',
    budget: str = "100.00",
    prompts: list[str] | None = None,
) -> StudyFile:
    """Write a study file and a manifest with plainly coloured images; no model is run."""
    path = folder / "scratch.toml"
    run = folder / "run"
    text = STUDY.format(folder=run, comparisons=comparisons, assignments=assignments, budget=budget)
    path.write_text(text, encoding="utf-8")
    run.mkdir(exist_ok=True)
    for number in range(scenes):
        for index, method in enumerate(("alpha", "beta", "gamma")):
            colour = (60 * number + 20, 80 * index + 30, 90)
            sha256, content = as_png(Image.new("RGB", (64, 64), colour))
            image = image_path(sha256)
            store_bytes(run, image, content)
            prompt = prompts[number] if prompts else f"prompt {number}"
            append(run, manifest_row(number, method, prompt, sha256, image))
    return read_study_file(path)


def manifest_row(number: int, method: str, prompt: str, sha256: str, path: str) -> ManifestRow:
    return ManifestRow(
        study="scratch",
        prompt_id=f"p{number}",
        prompt=prompt,
        category="",
        seed=0,
        method=method,
        options={"kind": "cfg"},
        negative_prompt=None,
        model="none",
        revision="",
        scheduler="ddim",
        steps=41,
        dtype="float32",
        device="cpu",
        width=64,
        height=64,
        sha256=sha256,
        path=path,
        created_at="2026-11-23T00:00:00+00:00",
        evaluations=82,
        seconds=0.1,
        versions={},
        git_commit="",
    )


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PostgreSQL server of the distribution's, on a free port."""
    folder = Path(tmp_path_factory.mktemp("postgres", numbered=True))
    if os.geteuid() == 0:
        # The distribution's own account must reach the folder.
        for place in (folder, *folder.parents[:3]):
            if str(place).startswith(str(tmp_path_factory.getbasetemp().parent)):
                place.chmod(0o755)
    with running_postgres(folder) as url:
        if url is None:
            if os.environ.get("CI"):
                pytest.fail("PostgreSQL is not installed, and CI must test with it")
            pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
        yield url


@contextmanager
def running_postgres(folder: Path) -> Iterator[str | None]:
    """A PostgreSQL server in a folder, on a free port; none where it is not installed."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin")) or [Path("/nowhere")]
    initdb = binaries[-1] / "initdb"
    if not initdb.exists():
        yield None
        return
    folder.mkdir(exist_ok=True)
    # PostgreSQL refuses to run as root: the distribution's own account runs it then.
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if as_user:
        folder.parent.chmod(0o755)
        shutil.chown(folder, "postgres")
    data = folder / "data"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run = {"check": True, "stdout": subprocess.DEVNULL, "cwd": folder}
    subprocess.run([*as_user, str(initdb), "-D", str(data), "-A", "trust", "-U", "cw"], **run)
    pg_ctl = [*as_user, str(binaries[-1] / "pg_ctl"), "-D", str(data), "-w"]
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c fsync=off -k {folder}"
    subprocess.run([*pg_ctl, "-l", str(folder / "log"), "-o", options, "start"], **run)
    yield f"postgresql+psycopg://cw@127.0.0.1:{port}/postgres"
    subprocess.run([*pg_ctl, "-m", "immediate", "stop"], **run)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, driven by Playwright."""
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is not installed, and CI must test in a browser")
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=arguments)
        yield launched
        launched.close()
