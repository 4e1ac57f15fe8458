"""The Dockerfiles: a linter where there is one, and what the manifests rely on.

No image is built here: that needs a Docker engine and a registry.
"""

import fnmatch
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
IMAGES = ["deploy/Dockerfile", "deploy/Dockerfile.gpu"]


def instructions(name: str) -> list[tuple[str, str]]:
    text = (ROOT / name).read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(" ", 1)) for line in joined.splitlines() if line.strip()]


def values(name: str, instruction: str) -> list[str]:
    return [value for word, value in instructions(name) if word == instruction]


@pytest.mark.parametrize("name", IMAGES)
def test_the_linter_has_nothing_to_say(name: str) -> None:
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which(
        "hadolint"
    )
    if linter is None:
        pytest.skip("hadolint is not installed")
    got = subprocess.run([linter, "--no-color", name], cwd=ROOT, capture_output=True, timeout=60)
    assert got.returncode == 0, got.stdout.decode()


@pytest.mark.parametrize("name", IMAGES)
def test_it_holds_what_the_manifests_rely_on(name: str) -> None:
    run = " ".join(values(name, "RUN"))
    assert "ray[default]" in run, "the dashboard takes in jobs"
    assert "wget" in run, "KubeRay's health checks call it"
    assert "-c /tmp/requirements.lock" in run, "the same versions as everywhere"
    assert "--uid 1000" in run and values(name, "USER")[-1] == "1000"
    assert not values(name, "ENTRYPOINT"), "KubeRay gives the command"
    assert not values(name, "ADD")


@pytest.mark.parametrize("name", IMAGES)
def test_what_it_copies_exists_and_reaches_the_build(name: str) -> None:
    kept = [
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    ]
    for value in values(name, "COPY"):
        *sources, _ = [word for word in value.split() if not word.startswith("--")]
        if "--from=" in value or sources == ["."]:
            continue
        for source in sources:
            assert (ROOT / source).exists(), source
            assert any(fnmatch.fnmatch(source, pattern) for pattern in kept), source


def test_the_build_context_holds_all_that_the_wheel_needs() -> None:
    kept = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"
    }
    folders = {"framework", "protos", "ps", "workers", "deploy"}
    assert folders | {"pyproject.toml", "setup.py", "README.md", "LICENSE"} <= kept
    assert all((ROOT / name).exists() for name in kept)


def test_the_wheel_takes_every_template_along() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["*"]
    templates = [p for p in (ROOT / "deploy" / "templates").iterdir() if p.suffix != ".pyc"]
    for path in templates:
        if path.is_file() and path.suffix != ".py":
            assert any(fnmatch.fnmatch(path.name, pattern) for pattern in patterns), path.name


def test_both_images_differ_by_the_gpu_parts_only() -> None:
    cpu, gpu = (instructions(name) for name in IMAGES)
    assert [word for word, _ in cpu] == [word for word, _ in gpu]
    differing = [word for (word, one), (_, other) in zip(cpu, gpu) if one != other]
    assert differing == ["RUN", "ENV"]
    assert "cupy-cuda12x[ctk]" in " ".join(values(IMAGES[1], "RUN"))
