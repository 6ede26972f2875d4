"""A sweep is a plan of runs that is carried out, continued where it was interrupted, and ranked."""

import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from evometa.cli import sweep
from evometa.cli.main import main
from evometa.errors import ConfigurationError
from evometa.sharing import sweeps
from evometa.storage import history
from evometa.storage.manifest import read_manifest


def test_all_combinations_are_planned() -> None:
    planned = sweep.plan("sphere", ["cmaes", "random-search"], 2, ["sigma=0.1,0.5"], ["--generations", "3"])
    assert list(planned) == [
        "cmaes-sigma=0.1-seed0",
        "cmaes-sigma=0.1-seed1",
        "cmaes-sigma=0.5-seed0",
        "cmaes-sigma=0.5-seed1",
        "random-search-seed0",
        "random-search-seed1",
    ]
    words = ["sphere", "--strategy", "cmaes", "--sigma", "0.5", "--seed", "1", "--generations", "3"]
    assert planned["cmaes-sigma=0.5-seed1"] == {"run": words, "resume": ["--generations", "3"]}
    others = ["--dimension", "3", "--seconds", "5", "--workers", "1"]
    (one,) = sweep.plan("sphere", [], 1, [], others).values()
    assert one == {"run": ["sphere", "--seed", "0", *others], "resume": ["--seconds", "5", "--workers", "1"]}


@pytest.mark.parametrize(
    ("vary", "words"),
    [("sigm=1", "Nearest: sigma"), ("sigma", "NAME=VALUE,VALUE"), ("sigma=", "NAME=VALUE,VALUE")],
)
def test_wrong_settings_are_refused(vary: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        sweep.plan("sphere", ["cmaes"], 1, [vary])


@pytest.mark.parametrize(
    ("vary", "others", "words"),
    [
        (["sigma=1", "strategy.sigma=2"], [], "got sigma twice"),
        (["sigma=1,2"], ["--sigma", "3"], "--vary gives each run a value of sigma, and --sigma another one"),
        (["sigma=1,2"], ["--strategy.sigma=3"], "another one; leave out one"),
        ([], ["--seed", "5"], "say how many with --seeds"),
        ([], ["--run-directory", "runs/x"], "with --directory"),
        ([], ["--overwrite"], "expects no --overwrite"),
    ],
)
def test_a_run_is_not_given_two_values_of_one_option(vary: list[str], others: list[str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        sweep.plan("sphere", ["cmaes"], 2, vary, others)


def test_runs_of_one_name_do_not_take_each_others_place() -> None:
    toys = Path(__file__).parents[1] / "toys.py"
    with pytest.raises(ConfigurationError, match="and two have Walk-seed0"):
        sweep.plan("sphere", [f"{toys}:Walk", f"{toys.parent}/./toys.py:Walk"], 1, [])
    assert len(sweep.plan("sphere", ["cmaes"], 1, ["sigma=1,1"])) == 1


def test_lists_given_in_parts_are_joined() -> None:
    args = ["sphere", "--vary", "sigma=1,2", "--strategy", "cmaes", "--generations", "3", "--vary", "a=1", "b=2"]
    _, own = sweep.sweep_with_options([*args, "--strategy", "pgpe"], main)
    assert own == ["sphere", "--vary", "sigma=1,2", "a=1", "b=2", "--strategy", "cmaes", "pgpe"]


def test_a_sweep_of_which_no_run_could_begin_gives_way(tmp_path: Path) -> None:
    command = ["sweep", "sphere", "--strategy", "cmaes", "--seeds", "1", "--directory", str(tmp_path / "sweep")]
    assert main([*command, "--generations", "none"]) == 2
    assert main([*command, "--generations", "1", "--seconds", "-1"]) == 2
    (one,) = sweeps.read_plan(tmp_path / "sweep").values()
    assert one["resume"] == ["--generations", "1", "--seconds", "-1"]


def test_a_sweep_that_is_told_to_end_begins_no_other_run(tmp_path: Path) -> None:
    sweeps.write_plan(tmp_path, sweep.plan("sphere", ["cmaes"], 2, []))
    begun: list[Sequence[str]] = []

    def terminated(words: Sequence[str]) -> int:
        begun.append(words)
        (tmp_path / "cmaes-seed0").mkdir()
        (tmp_path / "cmaes-seed0" / "manifest.json").touch()
        return 128 + signal.SIGTERM

    assert sweep.complete(tmp_path, terminated) == 143
    assert len(begun) == 1


def test_a_sweep_runs_continues_and_ranks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sweep"
    command = ["sweep", "sphere", "--strategy", "cmaes", "--seeds", "2", "--vary", "sigma=0.1,5", "--generations", "4"]
    command += ["--directory", str(folder), "--dimension", "3", "--population-size", "6"]
    done: list[Any] = []
    first = sweeps.finished

    def interrupted(path: Path) -> bool:
        done.append(path)
        if len(done) == 3:
            raise KeyboardInterrupt
        return first(path)

    monkeypatch.setattr(sweeps, "finished", interrupted)
    assert main(command) == 130
    monkeypatch.undo()
    assert len(list(folder.glob("*/manifest.json"))) == 2
    assert main(["resume", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert shown.count("run 3 of 4") == 1
    runs = {path.parent.name: len(history.read(path.parent)) for path in folder.glob("*/manifest.json")}
    assert runs == dict.fromkeys(json.loads((folder / "sweep.json").read_text())["runs"], 4)
    assert read_manifest(folder / "cmaes-sigma=5-seed1").strategy["fields"]["sigma"] == 5
    ranked = [line for line in shown.splitlines() if "cmaes sigma=" in line and "│" in line]
    assert len(ranked) == 2
    assert main(["resume", str(folder), "--generations", "9"]) == 2
    assert "expects nothing else, since its runs have the limits of the sweep, got --gen" in capsys.readouterr().err
    assert main(command) == 0  # nothing is left to do
    assert "run 1 of" not in capsys.readouterr().out
    assert main([*command, "--seconds", "9"]) == 2
    assert "holds another sweep" in capsys.readouterr().err
    assert main(["sweep", "sphere", "--strategy", "cmaes", "--directory", str(tmp_path), "--generations", "1"]) == 2
    assert "expected to be empty" in capsys.readouterr().err
