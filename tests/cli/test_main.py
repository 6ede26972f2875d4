import dataclasses
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import evometa
from evometa import naming
from evometa.cli.catalog import List
from evometa.cli.main import main
from evometa.cli.names import find, table
from evometa.cli.options import Execution
from evometa.cli.run import Run, claim_directory
from evometa.errors import ConfigurationError, EvometaWarning, RunDirectoryError
from evometa.naming.words import kebab
from evometa.objectives import At, Final, Mean, Objective, read_objective, write_objective
from evometa.problem import BaseProblem
from evometa.problems import Sphere
from evometa.search.search import Search
from evometa.sharing.grouping import groups
from evometa.storage import checkpoint, history
from evometa.storage.manifest import read_manifest
from evometa.strategies import CMAES
from evometa.strategy import require_space

STUDY = '''
import dataclasses
import jax
import jax.numpy as jnp
import evometa as em
from evometa import ProblemCard, Recipe

@dataclasses.dataclass(frozen=True)
class Slope(em.InnerTraining):
    """Learn a slope from the start ω.

    Args:
        sigma: spread of the slopes.
    """

    sigma: float = 1.0
    seed: int = 5
    fast: bool = False

    @property
    def space(self):
        return em.Box(())

    def sample_task(self, key):
        return self.sigma * jax.random.normal(key)

    def init(self, key, omega, task):
        return omega

    def step(self, key, omega, task, learner):
        return learner - 0.2 * (learner - task)

    def loss(self, key, omega, task, learner):
        return (learner - task) ** 2

    def pictures(self, key, omega):
        from matplotlib.animation import FuncAnimation
        from matplotlib.figure import Figure

        figure = Figure(figsize=(1, 1))
        line, = figure.subplots().plot([0, 1], [0, float(omega)])
        moving = FuncAnimation(figure, lambda i: line.set_data([0, 1], [0, i * float(omega)]), 3, repeat=False)
        return {"slope": figure, "turning": moving}

class Suggested(Slope):
    """The same with a recipe."""

    recipe = Recipe("OpenAIES", {"population_size": 4}, {"generations": 2})
    card = ProblemCard("none", "a number", "a number", recipe=recipe)

class Unfinished(em.Problem):
    """Defines nothing."""
'''

QUICK = ["--population-chunk", "4", "--devices", "1", "--progress", "False"]
SPHERE = ["run", "sphere", "--strategy", "cmaes", "--population-size", "4", *QUICK]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a temporary folder with a file of a user."""
    (tmp_path / "study.py").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """Run a command line that must fail, and return its error message of one sentence."""
    assert main(args) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("evometa: ")
    assert printed.err.count("\n") == 1
    return printed.err


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("OpenAIES", "openai-es"),
        ("CMAES", "cmaes"),
        ("PGPE", "pgpe"),
        ("RandomSearch", "random-search"),
        ("DigitsHyperparameters", "digits-hyperparameters"),
        ("SepCMAES", "sep-cmaes"),
    ],
)
def test_spelling_of_names(name: str, expected: str) -> None:
    assert kebab(name) == expected


@pytest.mark.parametrize("role", ["problem", "strategy"])
def test_every_listed_name_is_found_in_any_spelling(role: str) -> None:
    assert len(table(role)) >= 5  # type: ignore[arg-type]
    for name, cls in table(role).items():  # type: ignore[arg-type]
        for spelling in (name, name.replace("-", "_"), cls.__name__):
            assert find(spelling, role) is cls  # type: ignore[arg-type]


def test_generalize_evaluates_the_result_on_other_distributions(capsys: pytest.CaptureFixture[str]) -> None:
    run = ["run", "sinusoid-hypernetwork", "--strategy", "random-search", "--population-size", "2", "--num-tasks", "1"]
    small = ["--hidden", "2", "--encoder", "2", "--finalists", "0", "--validation-tasks", "2", "--generations", "1"]
    directory = "runs/sinusoid-hypernetwork-random-search-1"
    assert main([*run, *small, *QUICK]) == 0
    held_out = float(re.search(r"held-out (\S+)", capsys.readouterr().out)[1])  # type: ignore[index]
    assert held_out > 0
    assert main(["generalize", directory, "--tasks", "5"]) == 0
    printed = capsys.readouterr().out
    rows = dict(re.findall(r"│ ([a-z -]+?) +│ +(\S+) +│", printed))
    assert list(rows) == ["training", "held-out", "half the shots", "twice the shots", "x moved by a quarter"]
    assert all(float(fitness) > 0 for fitness in rows.values())
    assert "to be a whole number of at least 1, got 0" in refused(capsys, "generalize", directory, "--tasks", "0")


def test_a_run_from_start_to_picture(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SPHERE, "--generations", "3", "--seed", "7", "--sigma", "0.5"]) == 0
    printed = capsys.readouterr().out
    directory = Path("runs/sphere-cmaes-1")
    assert f"evometa resume {directory} --generations 6" in printed
    assert "the limit of 3 generations was reached" in printed
    assert f"plot       evometa plot {directory}" in printed
    assert re.search(r"^fitness    best .* \(smaller is better\)$", printed, re.MULTILINE)
    manifest = read_manifest(directory)
    assert (manifest.seed, manifest.strategy["fields"]["population_size"]) == (7, 4)
    assert manifest.strategy["fields"]["sigma"] == 0.5
    first = history.read(directory)

    assert main(["resume", str(directory), "--generations", "5", "--progress", "False"]) == 0
    capsys.readouterr()
    run = history.read(directory)
    np.testing.assert_array_equal(run["generation"], [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(run["best"][:3], first["best"])

    assert main(["show", str(directory)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for part in (
        "Sphere(",
        "population_size=4",
        "seed 7",
        "generations 5",
        "evaluations 20",
        "checkpoint generation 5",
    ):
        assert part in printed
    found = int(np.argmin(run["best"])) + 1  # not the last generation, but the one that found it
    assert f"best {run['best_so_far'][-1]:.6g} (generation {found})" in printed

    assert main(["plot", str(directory), "--x", "evaluations"]) == 0
    drawn = [directory / "fitness.png", directory / "strategy.png"]
    assert capsys.readouterr().out.split() == [str(path) for path in drawn]
    assert all((folder / path).read_bytes().startswith(b"\x89PNG") for path in drawn)

    assert main([*SPHERE, "--generations", "1"]) == 0
    assert "runs/sphere-cmaes-2" in capsys.readouterr().out
    assert "exists already" in refused(capsys, *SPHERE, "--generations", "1", "--run-directory", str(directory))
    assert len(history.read(directory)) == 5

    capsys.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda *warning: sys.stderr.write(warnings.formatwarning(*warning[:4]))
        assert main(["resume", str(directory), "--generations", "6", "--population-size", "8"]) == 0
    assert "\nevometa: The run continues with the strategy CMAES" in f"\n{capsys.readouterr().err}"
    assert history.read(directory)["evaluations"].tolist()[-2:] == [20, 28]
    assert read_manifest(directory).strategy["fields"] | {"population_size": 4} == manifest.strategy["fields"]
    capsys.readouterr()
    assert main(["resume", str(directory), "--help"]) == 0
    assert "--strategy.population-size INT" in capsys.readouterr().out


def test_a_users_own_file_and_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["run", "study.py:Slope", "--strategy=openai_es", "--population-size", "4", "--num-tasks=3", "--fast"]
    line += ["--inner-steps", "4", "--objective", "at:0,4", "--problem.sigma", "2", "--strategy.sigma", "0.5"]
    line += ["--seed", "3", "--problem.seed", "9", "--total-inner-steps", "150", "--run-directory", "mine"]
    assert main([*line, *QUICK]) == 0
    manifest = read_manifest(Path("mine"))
    problem, strategy = naming.rebuild(manifest.problem), naming.rebuild(manifest.strategy)
    assert (problem.num_tasks, problem.inner_steps, problem.sigma, problem.seed) == (3, 4, 2.0, 9)
    assert (problem.fast, problem.objective) == (True, At((0, 4)))
    assert (strategy.population_size, strategy.sigma, manifest.seed) == (4, 0.5, 3)
    # 4 candidates · 3 tasks · 4 steps = 48 inner steps a generation; a third leaves none for the final selection.
    found = checkpoint.progress(Path("mine"))
    assert found is not None
    assert found["generation"] == 2
    capsys.readouterr()

    assert main(["run", "study.py:Slope", "--strategy", "cmaes", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "--problem.sigma FLOAT spread of the slopes. (default: 1.0)" in text
    assert "--problem.num-tasks INT T, tasks drawn in each generation" in text
    assert "--strategy.population-size INT" in text


def test_an_option_of_problem_and_strategy_needs_its_prefix(capsys: pytest.CaptureFixture[str]) -> None:
    text = refused(capsys, "run", "study.py:Slope", "--strategy", "cmaes", "--generations", "1", "--sigma", "2")
    assert "Both Slope and CMAES have an option --sigma; use --problem.sigma or --strategy.sigma." in text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("run sphear --strategy cmaes", "no problem named 'sphear'; .* Nearest: sphere"),
        ("run sphere --strategy cmae", "no strategy named 'cmae'; .* Nearest: cmame, cmaes"),
        ("run study.py:Slop --strategy cmaes", "Nearest: Slope"),
        ("run study.py --strategy cmaes", "expects the name of a class .* name it, as in study.py:Slope"),
        ("run gone.py:Slope --strategy cmaes", r"gone\.py does not exist"),
        ("run study.py:Unfinished --strategy cmaes", "does not define evaluate, space"),
        ("run --strategy cmaes sphere", "expects the problem first"),
        ("run sphere --strategy cmaes", "a limit to stop at; give --generations"),
        ("run sphere --strategy cmaes --generations 0", "--generations expects a number above zero, got 0"),
        (
            "run sphere --strategy cmaes --generations 1 --population-size -3",
            "population_size .* of at least 2, got -3",
        ),
        ("run study.py:Slope --strategy cmaes --generations 1 --objective at:7", "At expects one or more steps"),
        ("resume nowhere --generations 1", "nowhere was expected to be a run directory"),
        ("show nowhere", "nowhere was expected to be a run directory"),
        ("plot nowhere", "cannot be read; give the folder of a run"),
        ("compare nowhere", "nowhere was expected to be a run directory"),
    ],
)
def test_an_error_is_one_sentence(capsys: pytest.CaptureFixture[str], folder: Path, line: str, words: str) -> None:
    text = refused(capsys, *line.split())
    assert re.search(words, text), text
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("run sphere --strategy cmaes --generatons 5", "--generations"),
        ("run sphere --strategy cmaes --generations five", "five"),
        ("run study.py:Slope", "--strategy"),
        ("run study.py:Slope --strategy cmaes --objective last", "final, mean or at:1,5"),
        ("plot runs --x epochs", "epochs"),
        ("walk", "walk"),
    ],
)
def test_options_that_do_not_exist_are_refused(capsys: pytest.CaptureFixture[str], line: str, word: str) -> None:
    assert main(line.split()) == 2
    printed = capsys.readouterr()
    assert word in printed.err
    assert "Traceback" not in printed.err


@pytest.mark.parametrize("command", ["run", "resume", "plot", "compare", "dashboard", "list", "show"])
def test_every_command_has_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: evometa {command} ")
    assert main(["--help"]) == 0
    assert re.search(rf" {command} +[A-Z]", capsys.readouterr().out)


def test_list_shows_every_problem_and_strategy(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in [*table("problem"), *table("strategy")]:
        assert sum(line.startswith(f"  {name} ") for line in lines) == 1, name
    assert lines.index("learned initialisations") < lines.index(next(line for line in lines if "sinusoid  " in line))
    assert "``" not in "".join(lines)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["list"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_list_tells_more_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "sinusoid"]) == 0
    told = capsys.readouterr().out
    for words in ("Finn et al. 2017", "learned initialisations", "--learning-rate 0.01", "Few-shot regression"):
        assert words in told
    assert main(["list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {entry["name"] for entry in listed["strategies"]} == set(table("strategy"))
    assert main(["list", "sinusiod"]) == 2
    assert "Nearest: sinusoid" in capsys.readouterr().err


def test_show_and_clean_serve_scripts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "runs" / "a"
    search = Search(Sphere(2), CMAES(4), run_directory=folder, checkpoint_seconds=0, progress=False)
    for generations in (1, 2, 3):
        search.run(generations=generations)
    assert main(["show", str(folder), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["manifest"]["seed"] == 0
    assert shown["progress"]["generation"] == shown["result"]["generations"] == 3
    assert len(list((folder / "checkpoints").iterdir())) == 3
    assert main(["clean", str(tmp_path / "runs")]) == 0
    assert "1 run," in capsys.readouterr().out
    assert [path.name for path in (folder / "checkpoints").iterdir()] == [f"{3:012d}"]
    assert Search.resume(folder, progress=False).run(generations=4).generations == 4
    assert main(["clean", str(tmp_path / "nothing")]) == 2
    assert main(["clean", str(folder), "--keep", "0"]) == 2


def test_version_and_verbose(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"evometa {evometa.__version__}\n"
    assert main(["show", "nowhere", "--verbose"]) == 2
    assert "Traceback" in capsys.readouterr().err
    assert main(["show", "nowhere"]) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(("name", "cls"), table("problem").items())
def test_every_problem_has_a_card_and_a_valid_recipe(name: str, cls: type[BaseProblem]) -> None:
    card = cls.card
    assert card is not None, f"{name} expects a card"
    assert card.branch
    assert card.omega
    assert card.learner
    assert card.recipe is not None
    strategy = find(card.recipe.strategy, "strategy")(**card.recipe.settings)
    space = {"x": {"type": "float", "low": 0}}
    needed = {"command": "echo loss = {x}", "parameters": space, "metric": "loss"}
    problem = cls(**needed) if name == "command-problem" else cls()
    require_space(strategy, problem.space)
    assert set(card.recipe.limits) <= set(inspect.signature(Search.run).parameters)


def test_a_problem_is_searched_by_its_recipe_if_no_strategy_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "study.py:Suggested", "--fast", *QUICK]) == 0
    printed = capsys.readouterr().out
    assert "searching  OpenAIES(population_size=4" in printed
    assert "generations 2\n" in printed
    assert "omega      a number\n" in printed
    assert len(history.read(Path("runs/suggested-openai-es-1"))) == 2
    assert main(["run", "study.py:Suggested", "--population-size", "6", "--generations", "1", *QUICK]) == 0
    manifest = read_manifest(Path("runs/suggested-openai-es-2"))
    assert manifest.strategy["fields"]["population_size"] == 6
    assert len(history.read(Path("runs/suggested-openai-es-2"))) == 1
    capsys.readouterr()

    directory = Path("runs/suggested-openai-es-2")
    assert main(["plot", str(directory), "--output", "picture.png"]) == 0
    assert capsys.readouterr().out.split()[-2:] == ["picture-slope.png", "picture-turning.gif"]
    assert Path("picture-slope.png").read_bytes().startswith(b"\x89PNG")
    assert Path("picture-turning.gif").read_bytes().startswith(b"GIF")
    Path("study.py").rename("moved.py")
    assert main(["plot", str(directory)]) == 0
    printed = capsys.readouterr()
    assert printed.out.split() == [str(directory / "fitness.png"), str(directory / "strategy.png")]
    assert "own pictures are left out" in printed.err
    assert main(["plot", str(directory), "--problem", "moved.py:Suggested"]) == 0
    assert str(directory / "slope.png") in capsys.readouterr().out
    Path("moved.py").rename("study.py")

    assert "a limit to stop at" in refused(capsys, "run", "study.py:Suggested", "--strategy", "cmaes")
    assert "Both Suggested and OpenAIES have" in refused(capsys, "run", "study.py:Suggested", "--sigma", "2")


def test_options_have_the_defaults_of_search() -> None:
    search = inspect.signature(Search).parameters
    options = {**{f.name: f for f in dataclasses.fields(Run)}, **{f.name: f for f in dataclasses.fields(Execution)}}
    shared = set(search) & set(options) - {"problem", "strategy"}
    assert shared == set(search) - {"problem", "strategy", "callbacks", "initial"}
    for name in shared:
        assert options[name].default == search[name].default, name


def test_compared_runs_are_grouped_by_their_settings_without_the_seed(capsys: pytest.CaptureFixture[str]) -> None:
    for name, options in {"a": [], "b": ["--seed", "1"], "c": ["--dimension", "3"]}.items():
        assert main([*SPHERE, "--generations", "2", "--run-directory", name, *options]) == 0
    dimension = read_manifest(Path("a")).problem["fields"]["dimension"]
    paths = [Path(name) for name in "abc"]
    assert groups(paths) == {f"cmaes dimension={dimension}": paths[:2], "cmaes dimension=3": paths[2:]}
    assert groups(paths, ["one", "two", "one"]) == {"one": [paths[0], paths[2]], "two": [paths[1]]}
    assert (
        main(
            [
                "run",
                "sphere",
                "--strategy",
                "openai-es",
                "--population-size",
                "4",
                *QUICK,
                "--generations",
                "1",
                "--run-directory",
                "d",
            ]
        )
        == 0
    )
    assert list(groups([paths[0], Path("d")])) == ["cmaes", "openai-es"]  # settings of one strategy are no difference
    manifest = Path("b/manifest.json")  # as if written when the class was named by its file
    manifest.write_text(manifest.read_text().replace("evometa.problems:", "evometa.problems.test_functions:"))
    assert groups(paths[:2]) == {"cmaes": paths[:2]}
    capsys.readouterr()
    with pytest.warns(EvometaWarning, match="different problems, whose fitness may not be comparable"):
        assert main(["compare", "a", "b", "c", "--output", "picture.svg"]) == 0
    assert "<svg" in Path("picture.svg").read_text()
    assert main(["compare", "a", "b", "--label", "both", "both", "--output", "picture.svg"]) == 0
    assert capsys.readouterr().err == ""
    assert "a label for each of the 2 run directories, got 1" in refused(capsys, "compare", "a", "b", "--label", "a")
    capsys.readouterr()
    assert "folder that exists" in refused(capsys, "compare", "a", "--output", "gone/picture.png")
    assert "folder that exists" in refused(capsys, "compare", "a", "--output", "picture.docx")


@pytest.mark.parametrize(("word", "objective"), [("final", Final()), ("mean", Mean()), ("at:0,4", At((0, 4)))])
def test_objectives_as_arguments(word: str, objective: Objective) -> None:
    assert read_objective(word) == objective
    assert write_objective(objective) == word


def test_an_interrupted_search_has_its_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Search, **limits: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(Search, "run", interrupted)
    assert main([*SPHERE, "--generations", "1"]) == 130


def test_the_module_runs_the_command_line(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "evometa", "show", "nowhere"], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert done.stderr.startswith("evometa: nowhere was expected to be a run directory")


def test_a_name_without_similar_ones_lists_all_names() -> None:
    with pytest.raises(ConfigurationError, match="Known: "):
        find("zzzzzz", "strategy")


def test_a_reader_that_has_seen_enough_ends_a_command_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setattr(List, "execute", lambda _: print("runs/1/fitness.png") or 0)
    with open(writer, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        assert main(["list"]) == 1


def test_jobs_that_start_together_have_folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [str(claim_directory(Sphere, CMAES)) for _ in range(2)] == ["runs/sphere-cmaes-1", "runs/sphere-cmaes-2"]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "runs").touch()
    with pytest.raises(RunDirectoryError, match="give --run-directory a folder that can be written to"):
        claim_directory(Sphere, CMAES)


@pytest.mark.parametrize(
    "words", [["--halving", "x"], ["--target", "nan"], ["--start", "nowhere"], ["--start-part", "best"]]
)
def test_a_mistake_leaves_no_folder_behind(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", "sphere", "--strategy", "cmaes", "--generations", "1", *words]) == 2
    assert "expect" in capsys.readouterr().err
    assert not list(tmp_path.glob("runs/*"))


def test_a_project_that_moved_is_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, now = tmp_path / "before", tmp_path / "now"
    before.mkdir()
    shutil.copy(Path(__file__).parents[1] / "toys.py", before / "mine.py")
    bowl, walk = (naming.load(f"{before / 'mine.py'}:{name}") for name in ("Bowl", "Walk"))
    Search(bowl(dimension=3), walk(), run_directory=before / "run", validation_tasks=1).run(generations=2)
    before.rename(now)
    resume = ["resume", str(now / "run"), "--generations", "3"]
    assert main(resume) == 2
    assert "name its class: 'evometa resume DIR --problem file.py:Class'" in capsys.readouterr().err
    moved = ["--problem", f"{now}/mine.py:Bowl", "--strategy", f"{now}/mine.py:Walk"]
    assert main([*resume, *moved]) == 0  # without a warning: nothing has changed
    manifest = read_manifest(now / "run")
    assert (manifest.problem["fields"]["dimension"], manifest.changes) == (3, ())
    assert main(["resume", str(now / "run"), "--generations", "4"]) == 0  # the manifest knows the new place
    assert main(["generalize", str(now / "run"), "--problem", f"{now}/mine.py:Bowl", "--tasks", "2"]) == 0


def test_help_imports_no_jax() -> None:
    program = (
        "import sys; sys.argv = ['evometa']\n"
        "from evometa.cli.main import main\n"
        "main(['--help']); main(['--version'])\n"
        "sys.exit('jax' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
