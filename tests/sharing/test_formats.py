"""Files that other programs read: each is read in a fresh process that does not know evometa."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest

from evometa import ConfigurationError, Search
from evometa.cli.main import main
from evometa.expressions import PrimitiveSet, compile_tree, parse
from evometa.naming import load
from evometa.sharing.formats import content, usual_format
from evometa.strategies import RandomSearch

Tuned = load(f"{Path(__file__).parents[1] / 'toys.py'}:Tuned")


class Layer(NamedTuple):
    kernel: Any
    bias: Any


WEIGHTS = {"layers": [Layer(np.arange(6, dtype=np.float32).reshape(2, 3), np.float32(0.1))], "scale": jnp.bfloat16(2)}
PRIMITIVES = PrimitiveSet(("x", "y"))
FORMULA = compile_tree(PRIMITIVES, parse(PRIMITIVES, "add(mul(x, 0.1), div(x, y))"))

READER = """
import json, sys
import numpy as np
from safetensors.numpy import load_file
arrays = dict(np.load("omega.npz"))
same = load_file("omega.safetensors")
assert arrays.keys() == same.keys() == {"layers.0.kernel", "layers.0.bias", "scale"}, arrays.keys()
for name, array in arrays.items():
    np.testing.assert_array_equal(array, same[name])
np.testing.assert_array_equal(arrays["layers.0.kernel"], np.arange(6).reshape(2, 3))
written = json.load(open("omega.json"))
assert written == {"layers": [{"kernel": [[0, 1, 2], [3, 4, 5]], "bias": 0.1}], "scale": 2}, written
import two
np.testing.assert_allclose(two.first(np.array([3.0]), np.array([4.0])), 1.05, rtol=1e-6)
np.testing.assert_allclose(two.second(np.array([3.0]), np.array([0.0])), 1.3, rtol=1e-6)
assert not any(name.startswith("evometa") for name in sys.modules)
"""


def test_files_are_read_in_a_fresh_process(tmp_path: Path) -> None:
    for format_, suffix in (("npz", "npz"), ("safetensors", "safetensors"), ("json", "json")):
        (tmp_path / f"omega.{suffix}").write_bytes(content(WEIGHTS, format_))  # type: ignore[arg-type]
    (tmp_path / "two.py").write_bytes(content({"first": FORMULA, "second": FORMULA}, "python"))
    done = subprocess.run([sys.executable, "-c", READER], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_each_kind_has_its_usual_format() -> None:
    assert usual_format(WEIGHTS) == "npz"
    assert usual_format(FORMULA) == "python"
    assert usual_format({"rate": np.float32(0.1), "kind": "adam"}) == "json"


def test_formulas_are_written_as_latex_and_text() -> None:
    assert content(FORMULA, "latex") == b"0.1 x + \\frac{x}{y}\n"
    assert json.loads(content(FORMULA, "json")) == "add(mul(x, 0.1), div(x, y))"


@pytest.mark.parametrize(
    ("omega", "format_", "words"),
    [(WEIGHTS, "python", "an ω with a formula"), (FORMULA, "npz", "a formula; use python"), ("a", "npz", "arrays")],
)
def test_a_format_that_does_not_fit_is_refused(omega: Any, format_: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        content(omega, format_)


def test_the_command_writes_names_of_categories(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Search(Tuned(), RandomSearch(3), run_directory=tmp_path / "run", workers=1, progress=False).run(generations=1)
    assert main(["export", str(tmp_path / "run")]) == 0
    path = tmp_path / "run" / "omega.json"
    assert capsys.readouterr().out == f"{path}\n"
    written = json.loads(path.read_text())
    assert written["optimizer"] in ("adam", "sgd"), written
    assert written["epochs"] == 3
    assert main(["export", str(tmp_path / "run"), "--as", "torhc"]) == 2
    assert "npz, safetensors, json, python, latex" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "run"), "--which", "center"]) == 2
    assert "has no center" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "run"), "--output", str(tmp_path / "nowhere" / "a.json")]) == 2
    assert "folder that exists" in capsys.readouterr().err
