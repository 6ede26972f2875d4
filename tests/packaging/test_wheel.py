"""The wheel, installed alone and used outside the repository, holds the whole package."""

import json
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = {"evometa": "evometa", "strategies": "evometa.strategies", "problems": "evometa.problems"}


def call(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(folder: Path) -> Path:
    """Build the sdist and from it the wheel, of a copy: a checkout's build folder may hold files long deleted."""
    source = folder / "source"
    for name in (*FOLDERS, "pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", source, cwd=folder)
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


def environment_with(wheel: Path, folder: Path) -> Path:
    """Return the Python of a new environment that has the wheel, and only borrows the dependencies of this one."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    call(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel, cwd=folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "borrowed.pth").write_text("\n".join(sorted(borrowed)))
    return python


def repository_modules() -> set[str]:
    modules = {"evometa"}
    for folder, package in FOLDERS.items():
        for file in (ROOT / folder).rglob("*.py"):
            parts = (package, *file.relative_to(ROOT / folder).with_suffix("").parts)
            modules.add(".".join(part for part in parts if part != "__init__"))
    return modules


def test_wheel_is_the_whole_package(tmp_path: Path) -> None:
    wheel = build(tmp_path)
    python = environment_with(wheel, tmp_path / "environment")
    outside = tmp_path / "outside"
    outside.mkdir()

    script = shutil.copy(Path(__file__).with_name("public_names.py"), outside)
    report = json.loads(call(python, script, cwd=outside))
    package = Path(report.pop("file")).parent
    assert package.is_relative_to(tmp_path / "environment")
    assert report == {
        "version": wheel.name.split("-")[1],
        "modules": sorted(repository_modules()),
        "broken": [],
        "undocumented": [],
    }
    assert (package / "py.typed").is_file()
    assert (package / "problems" / "architectures" / "architecture_table.npz").is_file()

    (command,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert "resume" in call(python.with_name(command), "--help", cwd=outside)
