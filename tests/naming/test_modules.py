"""Users' files are imported once for each content, and leave nothing behind if that fails."""

import sys
from pathlib import Path

import pytest

from evometa import ConfigurationError, naming


def test_a_file_is_imported_once_for_each_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "beside_it.py").write_text("start = 5")
    file = tmp_path / "study.py"
    source = "import dataclasses, beside_it\n@dataclasses.dataclass(frozen=True)\nclass Study:\n    a: 'int' = {}\n"
    file.write_text(source.format("beside_it.start"))
    path = list(sys.path)
    monkeypatch.setattr(sys, "path", list(path))
    first = naming.load(f"{file}:Study")
    monkeypatch.chdir(tmp_path)
    assert naming.load("./study.py:Study") is naming.load("study.py:Study") is first
    assert naming.reference(first) == f"{file}:Study"
    # As long as the old content and within the same second: what a bytecode cache would not notice.
    file.write_text(source.format("4 +         2 "[:15].ljust(15)))
    second = naming.load(f"{file}:Study")
    assert (first().a, second().a) == (5, 6)
    assert sys.path == [*path, str(tmp_path)]  # for what it imports when it is used


def test_a_file_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text("import os\n1 / 0")
    before = (list(sys.path), set(sys.modules))
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"broken\.py fails to import: ZeroDivisionError"):
            naming.load(f"{file}:X")
    assert (list(sys.path), set(sys.modules)) == before


def test_a_file_being_imported_may_not_start_anything(tmp_path: Path) -> None:
    naming.refuse_while_importing("a search")
    file = tmp_path / "eager.py"
    file.write_text("from evometa import naming\nnaming.refuse_while_importing('a search')\nclass X: pass")
    with pytest.raises(ConfigurationError, match=r"eager\.py starts a search while it is being imported"):
        naming.load(f"{file}:X")
    naming.refuse_while_importing("a search")
