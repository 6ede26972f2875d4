"""A package missing from pyproject.toml's list works in a checkout and is absent from the wheel."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = {"evometa": "evometa", "strategies": "evometa.strategies", "problems": "evometa.problems"}


def test_every_folder_with_python_files_is_a_listed_package() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = set()
    for folder, package in FOLDERS.items():
        for file in (ROOT / folder).rglob("*.py"):
            found.add(".".join((package, *file.parent.relative_to(ROOT / folder).parts)))
    assert sorted(settings["packages"]) == sorted(found)
    assert settings["package-dir"] == {package: folder for folder, package in FOLDERS.items()}
