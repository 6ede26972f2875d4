"""References to classes, written by one process and read by another."""

import fractions
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evometa import ConfigurationError, VectorSpace, naming, problems, strategies
from evometa.expressions import Expression
from evometa.objectives import At, Final, Objective


class Outer:
    class Inner:
        """A nested class."""


def test_a_module_of_a_package_is_named_by_import_and_a_file_by_its_path(tmp_path: Path) -> None:
    assert naming.reference(VectorSpace) == "evometa:VectorSpace"
    assert naming.reference(Objective) == "evometa.objectives:Objective"  # not exported by any package
    assert naming.load("evometa.objectives:Objective") is Objective
    assert naming.fingerprint(Final) is None
    assert naming.reference(fractions.Fraction) == "fractions:Fraction"  # a module on its own, but installed
    file = tmp_path / "outer.py"
    file.write_text("class Outer:\n    class Inner: pass")
    inner = naming.load(f"{file}:Outer.Inner")
    assert naming.reference(inner) == f"{file}:Outer.Inner"
    assert naming.fingerprint(inner) == {"file": str(file), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    assert naming.load(naming.reference(Outer.Inner)) is Outer.Inner


def test_a_class_that_no_other_process_can_import_is_refused() -> None:
    class Local:
        pass

    with pytest.raises(ConfigurationError, match="defined inside a function"):
        naming.reference(Local)
    code = "from evometa import naming\nclass Typed: pass\nnaming.reference(Typed)"
    typed = run("-c", code)
    assert "Typed expects to be defined in a file" in typed.stderr
    assert "interactive session; put it in a file" in typed.stderr


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False)


def test_the_running_script_and_its_neighbours_are_named_by_path(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("class Neighbour: pass")
    script = tmp_path / "main.py"
    script.write_text(
        "from beside import Neighbour\nfrom evometa.naming import load, reference\nclass Mine: pass\n"
        "for cls in (Mine, Neighbour):\n    print(reference(cls), load(reference(cls)) is cls)"
    )
    assert run(str(script)).stdout.splitlines() == [f"{script}:Mine True", f"{tmp_path / 'beside.py'}:Neighbour True"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sinusoid", "expects to be named as 'module:Class' or 'path/to/file.py:Class', got 'sinusoid'"),
        ("evometa.objectives:Finale", "it has no Finale. Nearest: Final"),
        ("evometa.objectives:dataclasses", "dataclasses is of type module"),
        ("evometa.objective:Finale", "module evometa.objective cannot be found by this interpreter;"),
        ("evometa.objective:Finale", "'path/to/file.py:Class'. Nearest: Final"),
        ("evometa.strategies:Finall", "evometa.strategies expects to hold a class derived from Objective named Finall"),
        ("evometa.strategies.gone:CMAES", "a class derived from Objective named CMAES, but CMAES is derived from"),
        ("evometa.spaces:Box", "a class derived from Objective named Box, but Box is derived from VectorSpace"),
        ("no_folder/no_file.py:Final", "no_folder/no_file.py does not exist"),
        (f"{Path(__file__).parent}/test_reference.py:Outer", "Nearest: test_references.py"),
    ],
)
def test_the_error_for_a_wrong_name_says_what_is_wrong(name: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        naming.load(name, Objective)
    assert words in str(error.value)


@pytest.mark.parametrize("package", [problems, strategies], ids=lambda package: package.__name__)
def test_what_a_package_exports_is_named_by_the_package(package: Any) -> None:
    classes = {name: getattr(package, name) for name in package.__all__}
    classes = {name: cls for name, cls in classes.items() if isinstance(cls, type)}
    assert {name: naming.reference(cls) for name, cls in classes.items()} == {
        name: f"{package.__name__}:{name}" for name in classes
    }


@pytest.mark.parametrize("old", ["gone", "problem", "problems.gone", "strategies._gone", "gone.deep.inside"])
def test_a_class_is_found_wherever_it_has_moved(old: str) -> None:
    names = {"At": At, "CMAES": strategies.CMAES, "ZDT2": problems.ZDT2, "Expression": Expression}
    for name, cls in names.items():
        assert naming.load(f"evometa.{old}:{name}") is cls
    with pytest.raises(ConfigurationError, match="module evometas cannot be found"):
        naming.load("evometas:At")  # only evometa's own classes are looked for
