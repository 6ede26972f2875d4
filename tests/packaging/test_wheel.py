"""The wheel, installed alone and used outside the repository, holds the whole package."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("evometa", "strategies", "problems", "pyproject.toml", "README.md", "LICENSE")

pytestmark = pytest.mark.xdist_group("wheel")  # one build serves the whole file


def call(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment that has evometa from its wheel and only borrows the dependencies of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    # Built from a copy: a build folder left in the checkout would put files into the wheel that are long deleted.
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / "source" / name)
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", folder / "source", cwd=folder)
    (wheel,) = (folder / "dist").glob("*.whl")

    environment = folder / "environment"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    call(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel, cwd=folder)
    paths = sysconfig.get_paths(vars={"base": str(environment), "platbase": str(environment)})
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (Path(paths["purelib"]) / "borrowed.pth").write_text("\n".join(sorted(borrowed)) + "\n")
    return environment


@pytest.fixture(scope="module")
def report(clean: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    script = shutil.copy(Path(__file__).with_name("public_names.py"), tmp_path_factory.mktemp("outside"))
    result: dict[str, Any] = json.loads(call(clean / "bin" / "python", script, cwd=Path(script).parent))
    return result


def test_holds_every_module_of_the_repository(report: dict[str, Any], clean: Path) -> None:
    expected = {"evometa"}
    for folder, package in (
        ("evometa", "evometa"),
        ("strategies", "evometa.strategies"),
        ("problems", "evometa.problems"),
    ):
        for file in (ROOT / folder).rglob("*.py"):
            parts = (package, *file.relative_to(ROOT / folder).with_suffix("").parts)
            expected.add(".".join(part for part in parts if part != "__init__"))
    assert sorted(report["modules"]) == sorted(expected)
    assert Path(report["file"]).is_relative_to(clean)


def test_every_public_name_can_be_imported(report: dict[str, Any]) -> None:
    assert report["broken"] == []


def test_every_public_object_is_documented(report: dict[str, Any]) -> None:
    assert report["undocumented"] == []


def test_is_typed_and_knows_its_version(report: dict[str, Any]) -> None:
    assert (Path(report["file"]).parent / "py.typed").is_file()
    assert report["version"] == version("evometa")


def test_command_is_installed(clean: Path, tmp_path: Path) -> None:
    (name,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert "resume" in call(clean / "bin" / name, "--help", cwd=tmp_path)
    assert os.listdir(tmp_path) == []
