"""The table of trials: every candidate in the user's own terms, the same however often a search was interrupted."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import jax
import numpy as np
import pytest

import evometa as em
from evometa import Dict, Evaluation, HostProblem, Like, Search, Space
from evometa.naming import load
from evometa.problems import ZDT2
from evometa.storage import trials
from evometa.strategies import NSGA2, RandomSearch

TOYS = Path(__file__).parents[1] / "toys.py"
Bowl, Tuned = load(f"{TOYS}:Bowl"), load(f"{TOYS}:Tuned")


@dataclasses.dataclass(frozen=True)
class Noisy(HostProblem):
    """Fails where its number is above 1/2; two calls a candidate."""

    metric_names = ("size, in words",)
    vector_lengths: ClassVar[Mapping[str, int]] = {"constraints": 1}
    num_tasks = 2

    @property
    def space(self) -> Space:
        return Dict({"x": em.Box((), 0.0, 1.0), "weights": Like(np.zeros(100))})

    def evaluate(self, rng: np.random.Generator, omega: Any) -> Any:
        if omega["x"] > 0.5:
            raise ValueError("too\nlarge")
        return Evaluation(float(omega["x"]) + rng.normal(), {"size, in words": 3.0}, constraints=[-1.0])


def test_candidates_are_in_the_terms_of_the_user_and_survive_a_resume(tmp_path: Path) -> None:
    options: Any = {"seed": 1, "workers": 1, "progress": False}
    Search(Tuned(), RandomSearch(4), run_directory=tmp_path / "whole", **options).run(generations=4)
    Search(Tuned(), RandomSearch(4), run_directory=tmp_path / "parts", **options).run(generations=2)
    text = (tmp_path / "parts" / "trials.csv").read_text()
    (tmp_path / "parts" / "trials.csv").write_text(text + "3,0,1.0")  # of a generation that was lost
    Search.resume(tmp_path / "parts", workers=1, progress=False).run(generations=4)
    whole, parts = (em.load(tmp_path / name).trials for name in ("whole", "parts"))
    assert len(whole) == 16
    assert whole.drop(columns="seconds").equals(parts.drop(columns="seconds"))
    assert set(whole["omega/optimizer"]) == {"adam", "sgd"}
    assert (whole["omega/momentum"].isna() == (whole["omega/optimizer"] == "adam")).all()
    expected = (whole["omega/batch"] - 32).abs() / 16 + whole["omega/order[0]"] - whole["omega/momentum"].fillna(0)
    np.testing.assert_allclose(whole["fitness"], expected)
    assert (whole["seconds"] > 0).any()


@pytest.mark.parametrize("damaged", [b"", b"\xec\x82\n\xd4\n", b"a,b\n1,2\n"])
def test_a_damaged_table_is_refused_in_a_sentence(damaged: bytes, tmp_path: Path) -> None:
    (tmp_path / "trials.csv").write_bytes(damaged)
    with pytest.raises(em.RunDirectoryError, match=r"trials\.csv was expected to hold the run's candidates"):
        trials.read_trials(tmp_path)


def test_failures_and_all_parts_of_an_evaluation_are_kept(tmp_path: Path) -> None:
    Search(Noisy(), RandomSearch(8), run_directory=tmp_path / "run", workers=1, progress=False).run(generations=1)
    table = em.load(tmp_path / "run").trials
    failed = table["omega/x"] > 0.5
    assert failed.any()
    assert not failed.all()
    assert (table["failure"].notna() == failed).all()
    assert table["failure"][failed].str.startswith("raised: ValueError").all()
    assert (table["fitness"].isna() == failed).all()
    assert (table["size, in words"][~failed] == 3).all()
    assert (table["constraints[0]"][~failed] == -1).all()
    assert not [name for name in table.columns if "weights" in name]
    row = table[~failed].iloc[0]
    seed = [int(word) for word in row["seed"].split()]  # of the first call; that of the second ends in its number
    draws = [np.random.default_rng(one).normal() for one in (seed, [*seed, 0, 1])]
    np.testing.assert_allclose(row["fitness"], row["omega/x"] + np.mean(draws), rtol=1e-12)


def test_compiled_problems_have_one_on_request(tmp_path: Path) -> None:
    problem = ZDT2(dimension=3)
    search = Search(problem, NSGA2(4), run_directory=tmp_path / "run", trials=True, progress=False)
    search.run(generations=3)
    table = em.load(tmp_path / "run").trials
    assert list(table["generation"]) == [1] * 4 + [2] * 4 + [3] * 4
    omegas = table[[f"omega[{place}]" for place in range(3)]].to_numpy()
    told = jax.vmap(lambda omega: problem.evaluate(jax.random.key(0), omega))(omegas)
    np.testing.assert_allclose(table[["objectives[0]", "objectives[1]"]], told.objectives, rtol=1e-5)
    plain = Search(problem, NSGA2(4), progress=False)
    plain.run(generations=3)
    np.testing.assert_array_equal(search.history["best"].astype(np.float32), plain.history["best"])
    Search.resume(tmp_path / "run", progress=False).run(generations=4)
    assert len(em.load(tmp_path / "run").trials) == 16


def test_the_table_is_bounded_and_absent_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "MOST_TRIALS", 6)
    search = Search(Tuned(), RandomSearch(4), run_directory=tmp_path / "run", workers=1, progress=False)
    search.run(generations=3)
    assert len(em.load(tmp_path / "run").trials) == 6
    Search.resume(tmp_path / "run", workers=1, progress=False).run(generations=4)
    assert len(em.load(tmp_path / "run").trials) == 6
    Search(Bowl(2), RandomSearch(4), run_directory=tmp_path / "without", progress=False).run(generations=1)
    with pytest.raises(em.RunDirectoryError, match="trials=True"):
        _ = em.load(tmp_path / "without").trials
