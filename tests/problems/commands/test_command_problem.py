"""Programs as problems: what they are given, what is read of them, how they fail, and what they leave behind."""

import contextlib
import json
import subprocess
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from evometa import CandidateFailed, ConfigurationError, Stopped
from evometa.cli.main import main
from evometa.executors.processes import marked
from evometa.naming import describe, rebuild
from evometa.problems import CommandProblem
from evometa.reporting import listening

SPACE: dict[str, Any] = {
    "x": {"type": "float", "low": 0.0, "high": 1.0},
    "name": {"choices": ["plain", "with space; and 'quote'"]},
}
OMEGA = {"x": np.float64(0.25), "name": np.int32(1)}


def script(folder: Path, text: str) -> str:
    """Write a shell script beside the search, and return the command that starts it with both parameters."""
    (folder / "program.sh").write_text(text)
    return "sh program.sh {x} {name}"


def call(command: Any, *, seed: int = 0, omega: Any = OMEGA, space: Any = SPACE, **settings: Any) -> float:
    problem = CommandProblem(command, space, "loss", **settings)
    return rebuild(describe(problem)).evaluate(np.random.default_rng(seed), omega)  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_program_beside_the_search_gets_values_as_words_in_a_folder_of_its_own(tmp_path: Path) -> None:
    text = 'pwd > place; echo "loss = $1"; printf "%s" "$2" > text; printf %s "$#" > count\n'
    text += 'cat "$EVOMETA_PARAMETERS" > all'
    assert call(script(tmp_path, text), kept=tmp_path / "kept") == 0.25
    best = tmp_path / "kept" / "best"
    assert (best / "text").read_text() == "with space; and 'quote'"
    assert (best / "count").read_text() == "2"
    assert Path((best / "place").read_text().strip()).parent == tmp_path / "kept" / "running"
    assert json.loads((best / "all").read_text()) == {"x": 0.25, "name": "with space; and 'quote'"}
    assert json.loads((best / "evaluation.json").read_text())["fitness"] == 0.25
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "program.sh"]
    assert not list((tmp_path / "kept" / "running").iterdir())


def test_a_shell_is_used_only_when_asked_for_and_values_are_quoted_for_it(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("3\n")
    text = "n=$(cat data.txt | wc -l); printf '%s\\n' {name} > said && echo loss=$((n + 1)) {x}"
    assert call(text, shell=True, kept=Path("kept")) == 2.0
    assert (tmp_path / "kept/best/said").read_text() == "with space; and 'quote'\n"
    assert call("echo loss=1 $HOME '|' {x} {name}", kept=Path("other")) == 1.0
    assert "$HOME | 0.25 with space" in (tmp_path / "other/best/stdout.txt").read_text()
    with pytest.raises(ConfigurationError, match=r"\{name\} within quotes"):
        CommandProblem('echo "it\'s {x} {name}"', SPACE, "loss", shell=True)


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("loss = 3\nval_loss = 9\nloss: 1.5e-1, accuracy: 3", 0.15),
        ('loss = 2\n{"loss": 0.5, "step": 3}', 0.5),
        ("{'step': 3, 'loss': 0.5}", 0.5),
        ("epoch 1 [====] loss: 4\r epoch 2 - my-loss: 7 - loss: -.5 - val_loss: 2", -0.5),
        ("\x1b[1mloss\x1b[0m: \x1b[32m7\x1b[0m", 7.0),
        ("loss = 4", 4.0),
        ("loss=0.5,loss_b=3", 0.5),
        ("\udcff\udc80 loss = 4\n\udcfe", 4.0),
    ],
)
def test_the_last_value_that_is_printed_counts(tmp_path: Path, said: str, value: float) -> None:
    (tmp_path / "said").write_bytes(said.encode(errors="surrogateescape"))
    assert call("cat said", environment=("ALL={parameters}",)) == value


def test_a_path_in_the_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "p.sh").write_text("echo loss = 1")
    assert call("sh ~/p.sh {x} {name}") == 1.0


def test_a_metric_on_standard_error_counts_where_standard_output_has_none(tmp_path: Path) -> None:
    assert call(script(tmp_path, "echo loss = 3 >&2; echo done")) == 3.0
    assert call(script(tmp_path, "echo loss = 3 >&2; echo loss = 2; echo loss = 4 >&2")) == 2.0


@pytest.mark.parametrize("content", ['{"loss": 3, "other": 1}', "3\n", "other = 1\nloss = 3", '"3"'])
def test_a_metric_file_is_read_in_the_working_directory(tmp_path: Path, content: str) -> None:
    (tmp_path / "source").write_text(content)
    text = 'mkdir out; cat "$EVOMETA_START_DIRECTORY/source" > out/result; echo loss = 9'
    assert call(script(tmp_path, text), metric_file="out/result") == 3.0


@pytest.mark.parametrize(
    ("text", "words", "settings"),
    [
        ("echo loss=1; echo one >&2; echo 'ValueError: bad' >&2; exit 3", "exit status 3: one / ValueError: bad", {}),
        ("echo out; exit 1", "exit status 1: out", {}),
        ("kill -SEGV $$", "ended by SIGSEGV", {}),
        ("echo loss = bad", "printed loss = 'bad', which is no number", {}),
        ("echo loss = 0,25", "printed loss = '0,25', which is no number", {}),
        ("echo '{\"loss\": null}'", "printed loss = 'null', which is no number", {}),
        ("echo losses = 3; echo lost: 1", r"printed no 'loss = NUMBER'. Nearest: losses, lost", {}),
        ("exit 0", "printed no 'loss = NUMBER'$", {}),
        ("echo loss = 1", "wrote no file result in its working directory: No such file", {"metric_file": "result"}),
        ("echo 'no number' > result", "wrote to result no 'loss = NUMBER'", {"metric_file": "result"}),
        ('echo \'{"loss": [1]}\' > result', r"wrote to result loss = '\[1\]'", {"metric_file": "result"}),
        ("sleep 60", "time limit of 0.2 s exceeded", {"time_limit": 0.2}),
    ],
)  # fmt: skip
def test_a_failure_says_why_and_its_files_are_kept(tmp_path: Path, text: str, words: str, settings: Any) -> None:
    with pytest.raises(CandidateFailed, match=words):
        call(script(tmp_path, text), kept=Path("kept"), **settings)
    (folder,) = (tmp_path / "kept" / "failed").iterdir()
    kept = {path.name for path in folder.iterdir()}
    assert {"stdout.txt", "stderr.txt", "parameters.json", "evaluation.json"} <= kept
    assert not (tmp_path / "kept" / "best").exists()


def test_a_metric_that_is_no_finite_number_is_a_failure_whose_files_are_kept(tmp_path: Path) -> None:
    assert np.isnan(call(script(tmp_path, "echo loss = nan"), kept=Path("kept")))
    assert call(script(tmp_path, "echo loss = inf"), kept=Path("kept")) == np.inf
    assert len(list((tmp_path / "kept" / "failed").iterdir())) == 1


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("nonsense-program {x} {name}", "a program 'nonsense-program' on the PATH"),
        ("./there.sh {x} {name}", r"there.sh, which cannot be executed; 'chmod \+x' it"),
        ("./absent.sh {x} {name}", "absent.sh, which is not there"),
    ],
)
def test_a_program_that_cannot_be_started_is_refused_before_a_search(tmp_path: Path, command: str, words: str) -> None:
    (tmp_path / "there.sh").write_text("echo loss = 1")
    with pytest.raises(ConfigurationError, match=words):
        CommandProblem(command, SPACE, "loss").require_ready()
    with pytest.raises(CandidateFailed, match="could not start"):
        call(command)


def test_the_best_call_is_kept_and_failures_up_to_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evometa.problems.commands.kept_files.MOST_FAILURES", 2)
    monkeypatch.setattr("evometa.problems.commands.kept_files.LARGEST_FAILURE", 100)
    text = 'mkdir d; head -c 200 /dev/zero > d/big; test "$1" = 0.5 && exit 1; echo loss = $1; touch $1'
    command = script(tmp_path, text)
    for x, name in ((0.25, 0), (0.75, 0), (0.5, 0), (0.5, 1), (0.125, 1), (0.125, 0)):
        omega = {"x": np.float64(x), "name": np.int32(name)}
        with contextlib.suppress(CandidateFailed):
            call(command, omega=omega, direction="maximize", kept=Path("kept"))
    assert (tmp_path / "kept/best/0.75").exists()
    failed = list((tmp_path / "kept" / "failed").iterdir())
    assert len(failed) == 2
    assert not (failed[0] / "d").exists()
    (tmp_path / "kept/running/left").mkdir()
    CommandProblem(command, SPACE, "loss").keeping_files(tmp_path / "kept")
    assert not (tmp_path / "kept/running/left").exists()


def test_the_time_limit_ends_all_that_a_program_started(tmp_path: Path) -> None:
    text = "trap '' TERM; (setsid sleep 61 &) ; setsid sh -c 'sleep 62 & sleep 63' & sleep 64"
    began = time.monotonic()
    with pytest.raises(CandidateFailed, match="time limit"):
        call(script(tmp_path, text), time_limit=0.3, environment=("FAMILY=one",))
    assert time.monotonic() - began < 10
    assert not marked(b"FAMILY=one")


def test_what_a_program_leaves_behind_neither_delays_its_result_nor_stays(tmp_path: Path) -> None:
    began = time.monotonic()
    assert call(script(tmp_path, "setsid sleep 65 & echo loss = 1"), environment=("FAMILY=two",)) == 1.0
    assert time.monotonic() - began < 10
    assert not marked(b"FAMILY=two")


def test_output_without_end_is_kept_in_part(tmp_path: Path) -> None:
    text = "head -c 5000000 /dev/urandom; echo\n"
    text += "head -c 3000000 /dev/zero | tr '\\0' 'a'; printf '\\nloss = 0.12'; printf 3"
    assert call(script(tmp_path, text), kept=Path("kept")) == 0.123
    log = (tmp_path / "kept/best/stdout.txt").read_bytes()
    assert len(log) < 3_200_000
    assert log.endswith(b"\nloss = 0.123")
    assert b"bytes left out" in log


def test_seed_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVOMETA_OUTSIDE", '{"JAX_PLATFORMS": null, "HELD": "before"}')
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    command = script(tmp_path, "echo loss = $EVOMETA_SEED; echo [$JAX_PLATFORMS] $HELD $OWN $EVOMETA_CANDIDATE")
    seeds = [call(command, seed=seed, kept=Path("kept"), environment=("OWN=a=b {x}",)) for seed in (1, 1, 2)]
    assert seeds[0] == seeds[1] != seeds[2]
    assert "[] before a=b 0.25 " in (tmp_path / "kept/best/stdout.txt").read_text()
    for text, drawn in ((command, False), (f"{command} {{seed}}", True)):
        rng = np.random.default_rng(1)
        CommandProblem(text, SPACE, "loss").evaluate(rng, OMEGA)
        assert (rng.bit_generator.state != np.random.default_rng(1).bit_generator.state) == drawn


def test_each_value_on_standard_output_is_a_report_and_a_bad_one_ends_the_program(tmp_path: Path) -> None:
    class Listener:
        heard: ClassVar[list[tuple[int, float]]] = []

        def hear(self, step: int, value: Any) -> None:
            self.heard.append((step, value))
            if value > 2:
                raise Stopped

    text = "echo loss = 9 >&2; echo loss = 1; echo; echo 'loss = 5, loss = 2'; sleep 0.2; echo loss = 3; sleep 60"
    with listening(Listener()), pytest.raises(Stopped):
        call(script(tmp_path, text), kept=Path("kept"), environment=("FAMILY=four",))
    assert Listener.heard == [(1, 1.0), (2, 2.0), (3, 3.0)]
    assert not marked(b"FAMILY=four")
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["running"]
    assert not list((tmp_path / "kept/running").iterdir())


def test_inactive_parameters_take_their_option_along(tmp_path: Path) -> None:
    space = {
        "kind": {"choices": ["a", "b"]},
        "rate": {"type": "float", "low": 0, "high": 1, "step": 0.1, "when": {"kind": "b"}},
        "inner": {"depth": {"type": "integer", "low": 1, "high": 4}, "constant": {"value": "text"}},
    }
    (tmp_path / "p.sh").write_text('echo loss = 1; printf "%s|" "$@"')
    command = ["sh", "p.sh", "--kind={kind}", "--rate", "{rate}", "--r={rate}", "{inner.depth:03d}", "{inner.constant}"]
    seen = []
    for omega in ({"kind": 0}, {"kind": 1, "rate": np.float64(0.1) * 3}):
        whole = omega | {"inner": {"depth": np.int32(2)}}
        call(command, space=space, omega=whole, kept=(kept := tmp_path / f"kept{len(seen)}"))
        seen.append((kept / "best/stdout.txt").read_text().splitlines()[1])
    assert seen == ["--kind=a|002|text|", "--kind=b|--rate|0.3|--r=0.3|002|text|"]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("p {x} {nam}", r"names \{nam\}, which is no parameter of the space; write \{\{ and \}\}.*Nearest: name"),
        ("p {x}", r"does not name name, so the program would not be told; put \{name\} where its value goes"),
        ("p {x} {name", "expects its parameters in braces"),
        ("p {x} }", "expects its parameters in braces"),
        ("p {x:d} {name}", "a format that its value 0.5 does not take"),
        ("p {x!r} {name}", "no conversion"),
        ("p '{x} {name}", "each quote to be closed"),
        ("", "the program first"),
        ("p {x} {name} | tail -1", r"has '\|', which only a shell understands; say shell=True"),
        ("p {x} {name} 2>&1", "only a shell understands"),
        ("A=1 p {x} {name}", "the program first, got 'A=1'; set variables by environment"),
    ],
)
def test_a_command_that_does_not_fit_the_space_is_refused_in_a_sentence(command: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        CommandProblem(command, SPACE, "loss")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"metric_file": "/tmp/x"}, "in the working directory of each call"),
        ({"metric_file": "../x"}, "in the working directory of each call"),
        ({"environment": ("A",)}, "NAME=VALUE"),
        ({"direction": "up"}, "'minimize' or 'maximize'"),
    ],
)
def test_wrong_settings_are_refused(settings: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        CommandProblem("p {x} {name}", SPACE, "loss", **settings)


def test_braces_that_are_no_parameters_are_doubled(tmp_path: Path) -> None:
    command = "awk 'BEGIN {{ print \"loss =\", {x} + 1 }}' {name}"
    assert call(command) == 1.25


def test_a_run_from_the_command_line_and_its_continuation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script(tmp_path, 'test "$2" = plain || { echo broken >&2; exit 2; }; echo "score = $1"')
    (tmp_path / "space.json").write_text(json.dumps(SPACE))
    words = ["--command", "sh program.sh {x} {name}", "--space", "space.json", "--metric", "score"]
    options = ["--strategy", "random-search", "--population-size", "6", "--direction", "maximize", "--workers", "1"]
    assert main(["run", *words, *options, "--generations", "1", "--run-directory", "run"]) == 0
    (tmp_path / "space.json").unlink()  # the run knows what was in it
    assert main(["resume", "run", "--generations", "2", "--workers", "1"]) == 0
    capsys.readouterr()
    assert main(["show", "run"]) == 0
    assert "sh program.sh {x} {name}" in capsys.readouterr().out
    rows = (tmp_path / "run/trials.csv").read_text().splitlines()
    assert len(rows) == 13
    ends = {row.split(",")[3] for row in rows[1:]}
    assert ends == {"", "exit status 2"}
    best = max(float(row.split(",")[2]) for row in rows[1:] if row.split(",")[2])
    kept = json.loads((tmp_path / "run/candidates/best/evaluation.json").read_text())
    assert kept["fitness"] == best
    assert not list((tmp_path / "run/candidates/running").iterdir())
    assert main(["run", "--command", "sh program.sh {x} {nam}", *words[2:], "--generations", "1"]) == 2
    assert "space.json was expected to be a JSON or TOML file" in capsys.readouterr().err
    (tmp_path / "space.json").write_text(json.dumps(SPACE))
    assert main(["run", "--command", "absent {x} {name}", *words[2:], "--generations", "1"]) == 2
    assert "a program 'absent' on the PATH" in capsys.readouterr().err
    assert not list((tmp_path / "runs").iterdir())


def test_a_worker_that_is_killed_takes_its_program_along(tmp_path: Path) -> None:
    from evometa.executors.executor import Trial
    from evometa.executors.worker_pool import WorkerPool

    text = 'test -e "$EVOMETA_START_DIRECTORY/again" && echo loss = 1 && exit\n'
    text += 'echo $PPID > "$EVOMETA_START_DIRECTORY/again"; setsid sleep 66'
    with WorkerPool(CommandProblem(script(tmp_path, text), SPACE, "loss", environment=("FAMILY=three",)), 1) as pool:
        pool.submit([Trial({"x": np.float64(0.25), "name": np.int32(1)}, (0,))])
        killer = subprocess.Popen(
            ["sh", "-c", f"until test -s {tmp_path}/again; do sleep 0.1; done; kill -9 $(cat {tmp_path}/again)"]
        )
        ((_, outcome),) = pool.as_completed()
        killer.wait()
    assert (outcome.fitness, outcome.evaluations) == (1.0, 2)
    assert not marked(b"FAMILY=three")
