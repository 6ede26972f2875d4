"""Options that several commands share."""

from pathlib import Path

import pytest

from evometa import ConfigurationError, Ray
from evometa.cli.main import main
from evometa.cli.options import Execution, joined

FILE = Path(__file__).parents[1] / "user_files" / "failing.py"


def test_where_calls_run_is_chosen_in_words() -> None:
    given = Execution(workers="ray", ray_cpus=2.0, ray_resources=("simulator=1",), ray_address="auto")
    chosen = Ray(cpus=2.0, resources={"simulator": 1.0}, address="auto")
    assert given.as_arguments()["workers"] == chosen
    assert not any(name.startswith("ray_") for name in given.as_arguments())
    assert Execution(workers=3).as_arguments()["workers"] == 3
    with pytest.raises(ConfigurationError, match="--ray-gpus expects --workers ray; give it, or leave both out"):
        Execution(ray_gpus=1.0).chosen()
    with pytest.raises(ConfigurationError, match="NAME=AMOUNT, such as simulator=1, got simulator"):
        Execution(workers="ray", ray_resources=("simulator",)).chosen()


def test_a_list_that_is_given_again_is_added_to() -> None:
    once = ["run", "x", "--environment", "A=1", "--seed", "1", "--seed", "2"]
    assert joined(once) == once
    again = ["run", "--environment=A=1", "x", "--environment", "B={x}", "C=", "--seed", "1", "--seed", "2"]
    assert joined(again) == ["run", "x", "--seed", "1", "--seed", "2", "--environment", "A=1", "B={x}", "C="]


def test_a_run_and_what_follows_without_any_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("evometa.executors.choice.WorkerPool", None)
    here = ["--workers", "0"]
    line = ["run", f"{FILE}:Picky", "--strategy", "random-search", "--population-size", "8", "--run-directory"]
    assert main([*line, str(tmp_path / "run"), "--generations", "1", "--progress", "False", *here]) == 0
    assert main(["resume", str(tmp_path / "run"), "--generations", "2", "--progress", "False", *here]) == 0
    assert main(["generalize", str(tmp_path / "run"), "--tasks", "3", *here]) == 0
    assert "training" in capsys.readouterr().out
    assert main(["generalize", str(tmp_path / "run"), "--ray-address", "auto"]) == 2
    assert "--ray-address expects --workers ray" in capsys.readouterr().err
