"""Several seeds at once: each is what it would be alone, and can be resumed."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from evometa import ConfigurationError, RunDirectoryError, Search, SeveralSeeds
from evometa.cli.main import main
from evometa.naming import load
from evometa.search import compiled_driver
from evometa.storage.history import HISTORY
from evometa.strategies import CMAES, RandomSearch

TOYS = Path(__file__).parents[1] / "toys.py"
Bowl, HostNoise = load(f"{TOYS}:Bowl"), load(f"{TOYS}:HostNoise")
Rows = dict[int, bytes]


def histories(folder: Path) -> Rows:
    return {int(path.parent.name[5:]): path.read_bytes() for path in sorted(folder.glob(f"seed-*/{HISTORY}"))}


def alone(tmp_path: Path, problem: Any, strategy: Any, seed: int) -> bytes:
    Search(problem, strategy, seed=seed, run_directory=tmp_path / f"alone-{seed}").run(generations=6)
    return (tmp_path / f"alone-{seed}" / HISTORY).read_bytes()


@pytest.mark.bits
@pytest.mark.parametrize("options", [{}, {"devices": 1}, {"devices": 2}], ids=str)
def test_each_search_is_what_it_would_be_alone(tmp_path: Path, options: dict[str, Any]) -> None:
    problem, strategy = Bowl(noise=0.1), CMAES(population_size=8)
    searches = SeveralSeeds(problem, strategy, seeds=3, run_directory=tmp_path / "runs", **options)
    results = searches.run(generations=3)
    assert [(seed, result.generations) for seed, result in results.items()] == [(0, 3), (1, 3), (2, 3)]
    SeveralSeeds.resume(tmp_path / "runs", **options).run(generations=6)
    assert histories(tmp_path / "runs") == {seed: alone(tmp_path, problem, strategy, seed) for seed in range(3)}


def test_a_program_is_compiled_once_and_not_for_each_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    begin = compiled_driver.CompiledDriver.__init__
    monkeypatch.setattr(
        compiled_driver.CompiledDriver,
        "__init__",
        lambda self, *args, **rest: (made.append(1), begin(self, *args, **rest))[1],
    )
    searches = SeveralSeeds(Bowl(), RandomSearch(4), seeds=[3, 5, 8, 9, 11])
    searches.run(generations=2)
    searches.run(generations=3)
    assert len(made) == 1
    assert [len(search.history) for search in searches.searches.values()] == [3] * 5


def test_two_seeds_are_searched_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=60)

    def meet(_: Any) -> np.ndarray:
        return np.float32(both.wait())

    class Meeting(Bowl):
        def evaluate(self, key: Any, omega: Any) -> Any:
            return jax.pure_callback(meet, jax.ShapeDtypeStruct((), np.float32), omega, vmap_method="sequential")

    SeveralSeeds(Meeting(), RandomSearch(4), seeds=2, finalists=0, validation_share=0.0).run(generations=2)
    assert not both.broken


def test_plain_python_is_searched_seed_after_seed(tmp_path: Path) -> None:
    strategy = RandomSearch(4)
    results = SeveralSeeds(HostNoise(), strategy, seeds=[1, 2], run_directory=tmp_path / "runs", workers=1).run(
        generations=6
    )
    assert list(results) == [1, 2]
    assert histories(tmp_path / "runs")[2] == alone(tmp_path, HostNoise(), strategy, 2)


def test_an_interrupted_folder_is_resumed_as_a_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun: list[int] = []

    def interrupt(report: Any) -> None:
        begun.append(report.search.seed)
        if report.search.seed == 1 and report.status.generation >= 1:
            os.kill(os.getpid(), signal.SIGINT)

    folder = tmp_path / "runs"
    strategy = RandomSearch(4)
    searches = SeveralSeeds(Bowl(), strategy, seeds=4, run_directory=folder, devices=1, callbacks=[interrupt])
    results = searches.run(generations=6)
    assert set(begun) == {0, 1}
    assert [result.stop_code for result in results.values()] == ["generations", "interrupted"]
    assert main(["resume", str(folder), "--generations", "6", "--devices", "1"]) == 0
    assert histories(folder) == {seed: alone(tmp_path, Bowl(), strategy, seed) for seed in range(4)}
    assert main(["show", str(folder)]) == 0
    assert "mean" in capsys.readouterr().out
    assert main(["plot", str(folder)]) == 0
    assert (folder / "fitness.png").exists()
    assert main(["resume", str(folder), "--generations", "6", "--strategy", "random-search"]) == 2
    assert "resume one of its runs" in capsys.readouterr().err


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    for seeds in ([], [1, 1], 0, 20261129):
        with pytest.raises(ConfigurationError, match="seeds"):
            SeveralSeeds(Bowl(), RandomSearch(4), seeds=seeds)
    with pytest.raises(ConfigurationError, match="instead of seed"):
        SeveralSeeds(Bowl(), RandomSearch(4), seeds=2, seed=1)
    with pytest.raises(RunDirectoryError, match=r"seeds\.json was expected"):
        SeveralSeeds.resume(tmp_path)
    with pytest.raises(ConfigurationError, match=r"run_directory .*got 5"):
        SeveralSeeds.resume(5)  # type: ignore[arg-type]
    Search(Bowl(), RandomSearch(4), run_directory=tmp_path / "one").run(generations=1)
    with pytest.raises(RunDirectoryError, match="holds a run of one seed"):
        SeveralSeeds(Bowl(), RandomSearch(4), run_directory=tmp_path / "one")
    folder = tmp_path / "mixed"
    SeveralSeeds(Bowl(), RandomSearch(4), seeds=2, run_directory=folder).run(generations=1)
    Search(Bowl(), RandomSearch(5), seed=1, run_directory=folder / "seed-1", overwrite=True).run(generations=1)
    with pytest.raises(RunDirectoryError, match="differ in their seeds only"):
        SeveralSeeds.resume(folder)
    several = SeveralSeeds(Bowl(), RandomSearch(4), seeds=[1, 2], run_directory=tmp_path / "two")
    assert not (tmp_path / "two").exists()  # nothing is written before it runs
    several.run(generations=1)
    with pytest.raises(RunDirectoryError, match=r"other seeds, 1, .* include them"):
        SeveralSeeds(Bowl(), RandomSearch(4), seeds=[2, 3], run_directory=tmp_path / "two")
