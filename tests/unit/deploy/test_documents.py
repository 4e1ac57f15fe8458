"""What the documents say about options, commands and files is so."""

import dataclasses
import re
from pathlib import Path

from shardtape import optimizers
from shardtape.deploy.command import app
from shardtape.workers.config import JobConfig
from shardtape.workers.status import SUMMARY_KEYS

ROOT = Path(__file__).resolve().parents[3]


def test_every_option_is_documented_with_its_text_and_default() -> None:
    text = (ROOT / "docs" / "command.md").read_text()
    rows = dict(re.findall(r"^\| `--([a-z-]+)` \| (.*) \|$", text, re.MULTILINE))
    assert set(rows) == {f.name.replace("_", "-") for f in dataclasses.fields(JobConfig)}
    for option in dataclasses.fields(JobConfig):
        row = rows[option.name.replace("_", "-")]
        assert row.endswith(f"| {option.metadata['help']}"), option.name
        default = row.split(" |")[0].strip()
        shown = {None: "", True: "yes", False: "no"}
        expected = option.default if isinstance(option.default, int | float) else None
        if isinstance(option.default, bool) or option.default is None:
            assert default == shown[option.default], option.name
        elif expected is not None:
            assert float(default) == expected, option.name
        else:
            assert default == option.default, option.name


def test_every_command_is_documented() -> None:
    text = (ROOT / "docs" / "command.md").read_text()
    for command in app.registered_commands:
        name = command.name or command.callback.__name__
        assert f"`shardtape {name}" in text, name


def test_every_member_of_the_summary_is_documented() -> None:
    text = (ROOT / "docs" / "command.md").read_text()
    table = text[text.index("The summary that") : text.index("## While it runs")]
    named = {name for row in re.findall(r"^\| (`.*?) \|", table, re.M) for name in row.split(", ")}
    assert named == {f"`{key}`" for key in SUMMARY_KEYS}


def test_slots_are_called_as_documented() -> None:
    text = (ROOT / "docs" / "checkpoints.md").read_text()
    with_all = {
        "SGD": {"momentum": 0.9},
        "Adam": {"amsgrad": True},
        "Nadam": {},
        "RMSprop": {"momentum": 0.9, "centered": True},
        "Adagrad": {},
    }
    for name, options in with_all.items():
        (row,) = re.findall(rf"^\| {name} \| (.*) \|$", text, re.MULTILINE)
        slots = getattr(optimizers, name)(**options).rule.slots
        assert set(re.findall(r"`(\w+)`", row)) == set(slots), name
    assert "`dense/kernel/.slot/momentum`" in text


def test_links_between_documents_lead_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks/README.md"]
    assert len(documents) > 6
    for document in documents:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text()):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_make_targets_in_the_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md"):
        used = set(re.findall(r"`make ([a-z-]+)", (ROOT / name).read_text()))
        assert used <= targets, f"{name}: {used - targets}"


def test_files_named_in_the_house_plan_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    for path in re.findall(r"`((?:framework|ps|workers|deploy|protos|tests)/[\w/.]*)`", text):
        assert (ROOT / path).exists(), path
