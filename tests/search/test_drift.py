"""How weights move is followed while a search runs, and by a resumed one as if it had never stopped."""

import contextlib
import dataclasses
import types
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evometa as em
from evometa.report.drift_chart import drift_blocks
from evometa.search.drift import _layers, _norms, columns_of
from evometa.storage.drift import DRIFT, drift_columns, read_drift
from evometa.storage.history import Table
from evometa.strategies import OpenAIES


@dataclasses.dataclass(frozen=True)
class Layers(em.Problem):
    """Two layers, the first of which is to become zero; a number beside them is no weight."""

    @property
    def space(self) -> em.Space:
        weights = em.Like(lambda key: {"a": jax.random.normal(key, (5, 6)), "b": jnp.ones(3)})
        return em.Dict(weights=weights, rate=em.Box((), 0.0, 1.0))

    def evaluate(self, key: Any, omega: Any) -> Any:
        return jnp.sum(omega["weights"]["a"] ** 2) + omega["rate"]


def layers(omega: Any) -> list[Any]:
    return [np.asarray(omega["weights"][name], np.float64) for name in ("a", "b")]


def test_weights_are_followed_from_the_start_on(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    search = em.Search(Layers(), OpenAIES(8), run_directory=folder, progress=False)
    first = search.run(generations=3)
    lines = (folder / DRIFT).read_text().splitlines(keepends=True)
    assert lines[0].strip().split(",")[3:] == [f"{m}/weights.{name}" for m in ("norm", "distance") for name in "ab"]
    # Rows beyond the checkpoint, of a process that was killed, and one cut in half.
    (folder / DRIFT).write_text("".join(lines) + "9,1,1,1,1,1,1\n10,1,1")
    result = em.Search.resume(folder, problem=Layers(), progress=False).run(generations=5)
    table = em.load(folder, problem=Layers()).drift
    assert table["generation"].is_unique
    assert table["generation"].is_monotonic_increasing
    assert {0, 3, 5} <= set(table["generation"]) <= set(range(6))
    start = layers(search.running.driver.decode(search.running.driver.first_center()))
    for generation, omega in ((3, first.center_omega), (5, result.center_omega)):
        row = table[table["generation"] == generation].iloc[0]
        norms = [np.linalg.norm(layer) for layer in layers(omega)]
        moved = [np.linalg.norm(layer - begin) for layer, begin in zip(layers(omega), start, strict=True)]
        expected = [np.linalg.norm(norms), np.linalg.norm(moved), *norms, *moved]
        np.testing.assert_allclose(row.iloc[1:].to_numpy(), expected, rtol=1e-6)
    at_start = table.iloc[0]
    np.testing.assert_allclose(at_start[["norm/weights.a", "norm/weights.b"]], [np.linalg.norm(x) for x in start])
    assert (at_start[["distance", "distance/weights.a", "distance/weights.b"]] == 0).all()
    # A run of an older version has no such table; it has one from where it is resumed on.
    (folder / DRIFT).unlink()
    em.Search.resume(folder, problem=Layers(), progress=False).run(generations=6)
    again = read_drift(folder)
    assert again["generation"].tolist() == [6]
    assert again["distance"][0] > 0


def test_of_many_layers_the_largest_have_columns_of_their_own() -> None:
    found = {f"l{i}": np.full(1 + i % 7, 2.0) for i in range(50)}
    names = _layers(found)
    assert len(names) == 41
    assert names[-1] == "others"
    assert min(found[name].size for name in names[:-1]) >= max(
        array.size for name, array in found.items() if name not in names
    )
    norms = _norms(found)
    np.testing.assert_allclose(np.sum(norms**2), sum(4.0 * array.size for array in found.values()))
    np.testing.assert_allclose(norms[0], 2.0 * np.sqrt(found[names[0]].size))


def test_settings_are_not_weights() -> None:
    for space, followed in ((em.Box((32,)), False), (em.Box((33,)), True), (em.Integer(0, 9, (64,)), False)):
        driver: Any = types.SimpleNamespace(space=space, precision=contextlib.nullcontext)
        assert bool(columns_of(driver)) == followed
    with pytest.raises(em.RunDirectoryError, match="whose ω consists of weights"):
        em.load(Path(__file__).parents[1] / "data" / "zdt2-nsga2").drift  # noqa: B018


def test_the_report_draws_the_layers_that_moved_farthest(tmp_path: Path) -> None:
    names = [f"l{i}" for i in range(7)]
    rows = [[generation, 9, 8, *range(7), *(generation * np.arange(7))] for generation in range(3)]
    lines = [",".join(map(str, row)) for row in (drift_columns(names), *rows)]
    (tmp_path / DRIFT).write_text("\n".join(lines) + "\n")
    run: Any = types.SimpleNamespace(path=tmp_path)
    block: Any = drift_blocks(run)[0]
    shown = [trace for trace in block.figure["data"] if trace["visible"]]
    assert [trace["name"] for trace in shown] == ["all weights", "l6", "l5", "l4", "l3", "l2"]
    assert shown[1]["y"] == [0.0, 6.0, 12.0]
    assert "Of 7 layers, the 5 with the largest distance are drawn." in block.caption


def test_a_table_of_other_layers_is_kept(tmp_path: Path) -> None:
    written = "generation,norm,distance,norm/x,distance/x\n0,1,0,1,0\n4,1,1,1,1\n"
    (tmp_path / DRIFT).write_text(written)
    table = Table(tmp_path / DRIFT, drift_columns(["x"]), after=5, complete=False)
    table.close()
    assert table.newest == 4
    with pytest.raises(em.RunDirectoryError, match="continue the run with the version that began it"):
        Table(tmp_path / DRIFT, drift_columns(["y"]), after=5, complete=False)
    assert (tmp_path / DRIFT).read_text() == written
