"""Parameters of commands in JSON and TOML, and what is no such description."""

import json
from pathlib import Path
from typing import Any

import jax
import pytest

from evometa import ConfigurationError
from evometa.problem import precision
from evometa.problems import CommandSpace

TOML = """
[lr]
type = "float"
low = 1e-5
high = 0.1
log = true
start = 0.01

[optimizer.kind]
choices = ["adam", "sgd", 3, true]

[optimizer.momentum]
type = "float"
low = 0
high = 0.9
step = 0.3
when = { kind = ["sgd", 3] }

[layers]
type = "int"
low = 1
high = 8

[weights]
type = "float"
low = -1
high = 1
shape = 2

[data]
value = "train.csv"
"""


def test_toml_and_json_describe_the_same_space(tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text(TOML)
    found = CommandSpace.read(tmp_path / "space.toml")
    (tmp_path / "space.json").write_text(json.dumps(found.described))
    assert CommandSpace.read(tmp_path / "space.json").described == found.described
    assert found.names == ("lr", "optimizer.kind", "optimizer.momentum", "layers", "weights", "data")
    with precision(double=True):
        space = found.space
        genotype = space.encode(
            {
                "lr": 0.1,
                "optimizer": {"kind": "sgd", "momentum": 0.6},
                "layers": 8,
                "weights": [0.5, -1],
            }
        )
        omega = space.present(jax.device_get(space.decode(genotype)))
    values = {"optimizer.kind": "sgd", "optimizer.momentum": 0.6, "layers": 8, "weights": [0.5, -1.0]}
    assert found.values(omega) == {"lr": 0.1} | values | {"data": "train.csv"}


@pytest.mark.parametrize(
    ("described", "words"),
    [
        ({}, "at least one name"),
        ({"x": 3}, r"Parameter 'x' expects an object with its type and bounds.*\{\"value\": 3\}"),
        ({"x": {"low": 0, "high": 1}}, "Parameter 'x' expects a type, got none. Known: float, integer"),
        ({"x": {"type": "flaot", "low": 0}}, "got 'flaot'. Nearest: float"),
        ({"x": {"type": "float", "lo": 0, "high": 1}}, "has no setting 'lo' as a float. Nearest: low"),
        ({"x": {"type": "integer", "low": 0}}, "expects 'high' as a integer"),
        ({"x": {"choices": [object()]}}, "a dict of numbers, strings"),
        ({"x": {"type": "float", "low": 1, "high": 0}}, "Parameter 'x': Box expects bounds with low <= high"),
        ({"x": {"type": "float", "low": 0, "high": 1, "log": True}}, r"Parameter 'x': Box\(log=True\) expects low > 0"),
        ({"x": {"type": "float", "low": "a", "high": 1}}, "Parameter 'x': Box expects"),
        ({"x": {"type": "integer", "low": 0.5, "high": 1}}, "Parameter 'x': Integer expects"),
        ({"x": {"choices": []}}, "choices as a list of at least one"),
        ({"x": {"choices": ["a", "a"]}}, "choices that differ"),
        ({"x": {"choices": ["a"], "start": "b"}}, "its start among"),
        ({"x": {"type": "float", "low": 0, "high": 1, "step": 0}}, "step > 0"),
        ({"x": {"value": 3}}, None),
        ({"x": {"value": "a"}}, "only constants"),
        ({"g": {"x": {"value": "a"}}}, "only constants"),
        ({"seed": {"choices": ["a", "b"]}}, "other than candidate"),
        ({"a.b": {"choices": ["a", "b"]}}, "a name without"),
        ({"m": {"type": "float", "when": {"k": "a"}}}, "depend on a parameter of its own group, got 'k'"),
        ({"k": {"choices": ["a", "b"]}, "m": {"type": "float", "when": {"k": "c"}}}, "active for some of the values"),
        ({"k": {"choices": ["a", "b"]}, "m": {"type": "float", "when": "k"}}, '"when" as an object with one name'),
    ],
)
def test_what_is_no_space_is_refused_in_a_sentence(described: Any, words: str | None) -> None:
    if words is None:
        assert CommandSpace.of(described).space.size == 0  # the search says that there is nothing to search
        return
    with pytest.raises(ConfigurationError, match=words):
        CommandSpace.of(described)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not: .* in line 1, column 2"),
        ("[1]", "a JSON object of at least one name"),
        ('{"x": {"choices": [1, 2]}, "x": {"choices": [1]}}', "each name once, got 'x'"),
        ('{"x": {"type": "float", "low": -Infinity}}', "finite numbers, got -Infinity"),
    ],
)
def test_text_that_is_no_description_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "space.json").write_text(text)
    with pytest.raises(ConfigurationError, match=rf"space.json: .*{words}"):
        CommandSpace.read(tmp_path / "space.json")


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text("x = [")
    (tmp_path / "space.json").write_bytes(b"\xff\xfe\x00")
    for name in ("space.toml", "space.json", "absent.json", "."):
        with pytest.raises(ConfigurationError, match="was expected to be a JSON or TOML file"):
            CommandSpace.from_word(str(tmp_path / name))
