"""References to classes and descriptions of objects, written by one process and read by another."""

import dataclasses
import enum
import fractions
import functools
import hashlib
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evometa import ConfigurationError, VectorSpace, naming, problems, strategies
from evometa.expressions import Expression
from evometa.objectives import At, Final, Mean, Objective
from evometa.problem import HostProblem
from evometa.spaces import Box


@dataclasses.dataclass(frozen=True)
class Holder:
    """Holds any value."""

    value: Any = None
    other: Any = 1
    derived: int = dataclasses.field(default=0, init=False)

    @dataclasses.dataclass(frozen=True)
    class Inner:
        """A nested class."""

        number: int = 0


def own_function(x: float) -> float:
    """A function of a user's file."""
    return x


class Shade(enum.Enum):
    """Choices of a user's file."""

    DARK = "dark"


class Changeable:
    """Not a dataclass."""


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
    assert naming.load(naming.reference(Holder.Inner)) is Holder.Inner


def test_a_class_that_no_other_process_can_import_is_refused() -> None:
    class Local:
        pass

    with pytest.raises(ConfigurationError, match="defined inside a function"):
        naming.reference(Local)
    code = "from evometa import naming\nclass Typed: pass\nnaming.reference(Typed)"
    typed = run("-c", code)
    assert "Typed expects to be defined in a file" in typed.stderr
    assert "notebook; put it in a file" in typed.stderr


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
        (f"{Path(__file__).parent}/test_namin.py:Holder", "Nearest: test_naming.py"),
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


OLD = {
    "problem": {
        "type": "evometa.problems.influence_balancing:InfluenceBalancing",
        "fields": {
            "num_tasks": 1,
            "inner_steps": 1000,
            "objective": {"type": "evometa.objectives:At", "fields": {"after": [1, 1000]}},
            "units": 23,
            "positive": 10,
        },
    },
    "strategy": {
        "type": "evometa.strategies.restarts:Restarts",
        "fields": {
            "strategy": {
                "type": "evometa.strategies.snes:SNES",
                "fields": {"population_size": 64, "sigma": 0.3, "learning_rate": 1.0, "sigma_learning_rate": None},
            },
            "patience": 5,
        },
    },
}
"""What a manifest held when it named classes by their files."""


def test_an_old_manifest_is_read_and_written_anew_with_public_names() -> None:
    expected = {
        "problem": problems.InfluenceBalancing(objective=At((1, 1000))),
        "strategy": strategies.Restarts(strategies.SNES(), patience=5),
    }
    for role, description in OLD.items():
        built = naming.rebuild(description)
        assert built == expected[role]
        written = naming.describe(built)
        assert naming.rebuild(json.loads(json.dumps(written))) == built
        assert naming.without_modules(written) == naming.without_modules(description)
        assert (
            re.findall(r'"type": "([^"]*)', json.dumps(written))
            == {
                "problem": ["evometa.problems:InfluenceBalancing", "evometa:At"],
                "strategy": ["evometa.strategies:Restarts", "evometa.strategies:SNES"],
            }[role]
        )


@pytest.mark.parametrize("old", ["gone", "problem", "problems.gone", "strategies._gone", "gone.deep.inside"])
def test_a_class_is_found_wherever_it_has_moved(old: str) -> None:
    names = {"At": At, "CMAES": strategies.CMAES, "ZDT2": problems.ZDT2, "Expression": Expression}
    for name, cls in names.items():
        assert naming.load(f"evometa.{old}:{name}") is cls
    with pytest.raises(ConfigurationError, match="module evometas cannot be found"):
        naming.load("evometas:At")  # only evometa's own classes are looked for


def test_the_name_of_a_users_class_is_part_of_what_is_compared() -> None:
    description = {
        "type": "/home/ada/study.py:Study",
        "fields": {"inner": OLD["strategy"], "several": [OLD["problem"]]},
    }
    bare = naming.without_modules(description)
    assert bare["type"] == "/home/ada/study.py:Study"
    assert (bare["fields"]["inner"]["type"], bare["fields"]["several"][0]["type"]) == ("Restarts", "InfluenceBalancing")


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.builds(Path, st.just("a/b"))
objectives = st.just(Final()) | st.just(Mean()) | st.builds(At, st.lists(st.integers(0, 9), min_size=1).map(tuple))
values = st.recursive(
    leaves | objectives,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.builds(Holder, inner)
    ),
    max_leaves=8,
)


@given(values)
def test_an_object_is_rebuilt_from_json(value: Any) -> None:
    holder = Holder(value, other=math.pi)
    text = json.dumps(naming.describe(holder), allow_nan=False)
    # repr tells types apart, and 0.0 from -0.0, and takes two nans for the same.
    assert repr(naming.rebuild(json.loads(text))) == repr(holder)


@pytest.mark.parametrize(
    ("value", "described"),
    [
        (np.dtype("float32"), {"dtype": "float32"}),
        (jnp.dtype("bfloat16"), {"dtype": "bfloat16"}),
        (jnp.float32, {"name": "jax.numpy:float32"}),
        (jnp.tanh, {"name": "jax.numpy:tanh"}),
        (jax.nn.relu, {"name": "jax.nn:relu"}),
        (np.sin, {"name": "numpy:sin"}),
        (math.sqrt, {"name": "math:sqrt"}),
        (At, {"name": "evometa:At"}),
        (own_function, {"name": naming.reference(own_function)}),
        (Shade.DARK, {"enum": [naming.reference(Shade), "DARK"]}),
    ],
)
def test_types_functions_and_enums_are_described_by_name(value: Any, described: Any) -> None:
    assert naming.describe(Holder(value))["fields"]["value"] == described
    rebuilt = naming.rebuild(json.loads(json.dumps(naming.describe(Holder(value))))).value
    assert (rebuilt, type(rebuilt)) == (value, type(value))


def test_partial_functions_and_numbers_of_numpy_are_described() -> None:
    function = naming.rebuild(naming.describe(Holder(functools.partial(max, 3, key=abs)))).value
    assert function(-4) == -4
    found = naming.rebuild(naming.describe(Holder((np.float32(0.5), np.int64(3), np.bool_(True), np.str_("a"))))).value
    assert repr(found) == repr((0.5, 3, True, "a"))


def test_a_function_that_is_gone_is_named() -> None:
    with pytest.raises(ConfigurationError, match="math expects to hold sqroot, which a setting names"):
        naming.rebuild({"type": naming.reference(Holder), "fields": {"value": {"name": "math:sqroot"}}})


def test_a_description_is_readable() -> None:
    assert naming.describe(At((1, 10))) == {"type": "evometa:At", "fields": {"after": [1, 10]}}


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (np.zeros(2), "Holder.value expects .* got numpy.ndarray"),
        ((1, lambda x: x), r"Holder.value\[1\] expects .* got the function <lambda>"),
        ({"a": functools.partial(Holder(1).__eq__, 2)}, r"Holder.value\['a'\] expects"),
        (np.dtype([("a", float)]), "Holder.value expects"),
        (Box(()), "Holder.value expects"),
    ],
)
def test_a_value_without_an_exact_description_is_refused_by_field(value: Any, where: str) -> None:
    with pytest.raises(ConfigurationError, match=where):
        naming.describe(Holder(value))


def test_only_frozen_dataclasses_are_described() -> None:
    for thing in (Changeable(), dataclasses.make_dataclass("Thawed", ["a"])(1)):
        with pytest.raises(ConfigurationError, match="expects to be a frozen dataclass"):
            naming.describe(thing)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["fields"].update(valeu=1), "no field valeu, .* Nearest: value"),
        (lambda d: d["fields"].update(derived=1), "no field derived"),
        (lambda d: d.pop("fields"), "exactly the members 'type' and 'fields'"),
        (lambda d: d.update(fields=[1]), "expects to be a dataclass with named fields"),
        (lambda d: d.update(type="evometa.spaces:Space"), "expects to be a dataclass with named fields"),
        (lambda d: d["fields"].update(value={"tuple": 3}), "exactly the members"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(change: Any, words: str) -> None:
    description = naming.describe(Holder())
    change(description)
    with pytest.raises(ConfigurationError, match=words):
        naming.rebuild(description)


@dataclasses.dataclass(frozen=True)
class Grown:
    """Has a field without a default, and one that it got later."""

    value: int
    later: tuple[int, ...] = (2,)


def test_fields_that_came_later_have_their_default_and_others_must_be_there() -> None:
    description = naming.describe(Grown(1))
    del description["fields"]["later"]
    assert naming.rebuild(description) == Grown(1)
    del description["fields"]["value"]
    with pytest.raises(ConfigurationError, match="lacks value"):
        naming.rebuild(description)


def test_a_problem_of_a_users_file_is_rebuilt() -> None:
    file = Path(__file__).parent / "user_files" / "misbehaving.py"
    problem = naming.load(f"{file}:Misbehaving", HostProblem)(time_limit=2.5)
    assert naming.rebuild(json.loads(json.dumps(naming.describe(problem)))) == problem
