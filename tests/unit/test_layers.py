"""Imports go down the house only: which folder may import what, checked on the source text."""

import ast
import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "framework": "shardtape",
    "protos": "shardtape.protos",
    "ps": "shardtape.ps",
    "workers": "shardtape.workers",
    "deploy": "shardtape.deploy",
}
# What a folder may import of Shardtape, and of other distributions (None: anything installed).
OWN = {
    "protos": {"protos"},
    "framework": {"framework", "protos"},
    "ps": {"ps", "framework", "protos"},
    "workers": {"workers", "ps", "framework", "protos"},
    "deploy": {"deploy", "workers", "ps", "framework", "protos"},
}
OTHERS = {
    "protos": {"google", "grpc"},
    "framework": {
        *("numpy", "ml_dtypes", "cupy", "cupyx", "tensorboard", "google", "fsspec", "safetensors"),
        "h5py",
        *("malt", "PIL", "threadpoolctl"),
    },
    "ps": None,
    "workers": None,
    "deploy": None,
}
# Names that the public face hands on from above, in functions that run at first use only.
LAZY = {
    "framework/__init__.py": {"workers", "ps"},
    "framework/distribute.py": {"workers", "ps"},
}


def sources(folder: str) -> list[Path]:
    return [p for p in sorted((ROOT / folder).rglob("*.py")) if "_pb2" not in p.name]


def module_name(path: Path) -> str:
    folder, *rest = path.relative_to(ROOT).with_suffix("").parts
    return ".".join([PACKAGES[folder], *(part for part in rest if part != "__init__")])


def folder_of(module: str) -> str | None:
    """The folder that holds a module of ours, None for somebody else's."""
    if module != "shardtape" and not module.startswith("shardtape."):
        return None
    second = module.split(".")[1] if "." in module else ""
    return second if second in PACKAGES and second != "framework" else "framework"


def imports(path: Path) -> list[tuple[str, int, bool]]:
    """(absolute module, line, inside a function) of every import statement of a file."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package.pop()
    found: list[tuple[str, int, bool]] = []

    def visit(node: ast.AST, inside: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.extend((alias.name, child.lineno, inside) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = package[: len(package) - child.level + 1] if child.level else []
                module = ".".join([*base, *([child.module] if child.module else [])])
                if module == "shardtape":  # `from shardtape import ps` names a folder
                    found.extend((f"{module}.{a.name}", child.lineno, inside) for a in child.names)
                else:
                    found.append((module, child.lineno, inside))
            visit(child, inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))

    visit(ast.parse(path.read_text(), str(path)), False)
    return found


def violations(path: Path) -> list[str]:
    where = str(path.relative_to(ROOT))
    folder = where.split("/")[0]
    found = []
    for module, line, inside in imports(path):
        target = folder_of(module)
        if target is not None:
            if target in OWN[folder] or (inside and target in LAZY.get(where, ())):
                continue
            found.append(f"{where}:{line} imports {module}: {folder}/ may not know {target}/")
        elif module.split(".")[0] not in sys.stdlib_module_names:
            allowed = OTHERS[folder]
            if allowed is not None and module.split(".")[0] not in allowed:
                found.append(f"{where}:{line} imports {module}: not among {sorted(allowed)}")
    return found


@pytest.mark.parametrize("folder", PACKAGES)
def test_folder_imports_only_what_lies_below(folder: str) -> None:
    found = [line for path in sources(folder) for line in violations(path)]
    assert not found, "\n".join(found)


def test_the_check_sees_a_wrong_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    (tmp_path / "framework" / "ops").mkdir(parents=True)
    for text in (
        "import ray",
        "from shardtape import ps",
        "from ..ps import shard",
        "def f():\n    import shardtape.workers.step",
    ):
        bad = tmp_path / "framework" / "ops" / "math.py"
        bad.write_text(text + "\n")
        assert len(violations(bad)) == 1, text
    good = tmp_path / "framework" / "ops" / "array.py"
    good.write_text("import os\nimport numpy as np\nfrom . import registry\nfrom ..tape import x\n")
    assert not violations(good)


def importable() -> list[str]:
    names = [module_name(path) for folder in PACKAGES for path in sources(folder)]
    return [name for name in names if not name.endswith("__main__")]


@pytest.mark.parametrize("name", importable())
def test_every_public_name_exists(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] in {"cupy", "cupyx"}:
            pytest.skip("needs cupy")
        raise
    public = getattr(module, "__all__", [])
    assert len(set(public)) == len(public), f"{name}.__all__ names something twice"
    missing = [each for each in public if not hasattr(module, each)]
    assert not missing, f"{name}.__all__ names what is not there: {missing}"
