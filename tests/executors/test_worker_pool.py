"""Worker processes: a crash or a hang of user code fails one candidate, never the search."""

import contextlib
import fcntl
import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import ConfigurationError, HostProblem, Search
from evometa.executors.executor import Outcome, Trial, run_in_order
from evometa.executors.processes import descendants
from evometa.executors.worker_pool import WorkerPool
from evometa.naming import load
from evometa.strategies import GeneticAlgorithm
from evometa.testing.executors import Probe

FILE = Path(__file__).parents[1] / "user_files" / "misbehaving.py"
GOOD, RAISE, HANG, DIE, EXIT, NAN, PRINT, NOTHING, ARRAY, QUIT, BAD_METRIC, PROTOCOL = range(12)


def problem(name: str, **fields: Any) -> HostProblem:
    made: HostProblem = load(f"{FILE}:{name}", HostProblem)(**fields)
    return made


def omega(action: int, value: float = 0.0) -> Any:
    return np.array([action, value], np.float32)


def evaluate(pool: WorkerPool, omegas: list[Any], seed: Any, *, test: bool = False) -> list[Outcome]:
    method: Any = "evaluate_test" if test else "evaluate"
    outcomes = run_in_order(pool, [Trial(one, tuple(seed), method) for one in omegas])
    # How long a call took is never the same.
    return [outcome._replace(seconds=outcome.seconds if outcome.seconds < 0 else math.nan) for outcome in outcomes]


def line_of(code: str) -> int:
    return next(number for number, line in enumerate(FILE.read_text().splitlines(), 1) if code in line)


def test_each_fault_costs_one_candidate_and_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    actions = [HANG, RAISE, DIE, EXIT, GOOD, NAN, PRINT, NOTHING, ARRAY, QUIT, BAD_METRIC, PROTOCOL]
    draw = np.random.default_rng([5, 1]).random()
    with WorkerPool(problem("Misbehaving", time_limit=2), workers=2) as pool:
        outcomes = evaluate(pool, [omega(action, 3.0) for action in actions], seed=[5, 1])
        again = evaluate(pool, [omega(GOOD, 1.0), omega(GOOD, 2.0)], seed=[5, 1])
    by_action = dict(zip(actions, outcomes, strict=True))
    for action in (GOOD, PRINT, PROTOCOL):
        assert by_action.pop(action) == Outcome(6.0 + draw, {}, None)
    assert [one.fitness for one in again] == [2.0 + draw, 4.0 + draw]
    expected = "evaluate expects to return a number or an Evaluation of numbers; "
    assert {action: one.failure for action, one in by_action.items()} == {
        HANG: "time limit of 2 s exceeded",
        RAISE: f"raised: ValueError: no such thing (misbehaving.py, line {line_of('raise ValueError')})",
        DIE: "worker died (signal 9)",
        EXIT: f"raised: SystemExit: 0 (misbehaving.py, line {line_of('sys.exit(0)')})",
        NAN: "non-finite fitness: nan",
        NOTHING: expected + "fitness is NoneType",
        ARRAY: expected + "fitness is an array of shape (1,)",
        QUIT: "worker died (exit status 3)",
        BAD_METRIC: expected + "metric accuracy is str",
    }
    assert all(math.isnan(one.fitness) and one.metrics == {} for one in by_action.values())
    printed = capsys.readouterr()
    assert "hello from a candidate" in printed.err
    assert printed.out == ""


@pytest.mark.parametrize("calls", [None, 5])
def test_calls_that_wait_in_a_worker_are_made_once_whatever_becomes_of_it(calls: int | None) -> None:
    actions = [*[GOOD] * 8, EXIT, *[GOOD] * 4, QUIT, *[GOOD] * 8, HANG, *[GOOD] * 8]
    with WorkerPool(problem("Misbehaving", time_limit=1), workers=1, calls=calls) as pool:
        outcomes = evaluate(pool, [omega(action, number) for number, action in enumerate(actions)], seed=[0])
    found = [(one.failure is None, one.evaluations) for one in outcomes]
    assert found == [(action == GOOD, 2 if action == QUIT else 1) for action in actions]


def test_order_and_results_do_not_depend_on_the_workers() -> None:
    sleepy = problem("Sleepy")
    omegas = [np.float32(i) for i in range(5)]
    directly: list[Any] = [sleepy.evaluate(np.random.default_rng([0, 7]), one) for one in omegas]
    for workers in (1, 2):
        with WorkerPool(sleepy, workers) as pool:
            outcomes = evaluate(pool, omegas, seed=(0, 7))
        assert outcomes == [Outcome(one.fitness, one.metrics, None) for one in directly]


def test_omega_arrives_with_the_structure_and_types_of_the_space() -> None:
    structured = problem("Structured")
    space = structured.space
    draw = jax.jit(lambda key: space.decode(space.sample(key)))
    omegas = [jax.device_get(draw(jax.random.key(i))) for i in range(2)]
    expected = [float(w["z"] + w["a"].sum() + (w["m"][0] + np.float32(1)).sum() + w["m"][1]["half"]) for w in omegas]
    assert omegas[0]["m"][1]["half"].dtype == jnp.bfloat16
    with WorkerPool(structured, workers=1) as pool:
        outcomes = evaluate(pool, omegas, seed=[0])
    assert outcomes == [Outcome(value, {}, None, drew=False) for value in expected]


def test_held_out_evaluation_and_a_worker_that_dies_while_idle() -> None:
    with WorkerPool(problem("Misbehaving"), workers=1) as pool:
        (first,) = evaluate(pool, [omega(GOOD, 1.5)], seed=[0], test=True)
        assert (first.fitness, first.failure) == (-1.5, None)
        os.kill(pid := int(first.metrics["pid"]), signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # dead, and left for the pool to find
        (second,) = evaluate(pool, [omega(GOOD, 2.5)], seed=[0], test=True)
        assert (second.fitness, second.failure) == (-2.5, None)
        assert second.metrics["pid"] != first.metrics["pid"]
    with WorkerPool(problem("Sleepy"), workers=1) as pool, pytest.raises(ConfigurationError, match="evaluate_test"):
        evaluate(pool, [np.float32(0)], seed=[0], test=True)


def test_an_interrupted_generation_leaves_no_late_answers() -> None:
    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    with WorkerPool(problem("Misbehaving"), workers=1) as pool:
        (before,) = evaluate(pool, [omega(GOOD, 1.0)], seed=[0])
        previous = signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        try:
            with pytest.raises(KeyboardInterrupt):
                evaluate(pool, [omega(HANG)], seed=[0])
        finally:
            signal.signal(signal.SIGALRM, previous)
        assert evaluate(pool, [omega(GOOD, 1.0)], seed=[0]) == [before]


def test_a_problem_that_cannot_be_imported_is_one_clear_error(tmp_path: Path) -> None:
    file = tmp_path / "study.py"
    file.write_text(FILE.read_text().replace("from neighbour import double", "double = abs"))
    broken: HostProblem = load(f"{file}:Sleepy")()
    file.write_text("import not_there")
    with (
        WorkerPool(broken, workers=1) as pool,
        pytest.raises(ConfigurationError, match=r"(?s)exit status 1.*study\.py.*No module named 'not_there'"),
    ):
        evaluate(pool, [np.float32(0)] * 3, seed=[0])


def test_trials_submitted_meanwhile_are_completed_too_and_a_budget_is_refused() -> None:
    with WorkerPool(problem("Misbehaving"), workers=1) as pool:
        first = pool.submit([Trial(omega(GOOD, float(i)), (0,)) for i in range(3)])
        seen = {}
        for number, outcome in pool.as_completed():
            if not seen:
                later = pool.submit([Trial(omega(GOOD, 10.0), (0,))])
            seen[number] = outcome.fitness
        assert list(pool.as_completed()) == []
    assert sorted(seen) == sorted([*first, *later])
    assert seen[later[0]] - seen[first[0]] == 20.0
    with (
        WorkerPool(problem("Sleepy"), workers=1) as pool,
        pytest.raises(ConfigurationError, match="without a budget, which it cannot keep, got budget=7"),
    ):
        pool.submit([Trial(np.float32(0), (0,), budget=7)])


def test_no_workers_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least 1 worker process, got workers=0"):
        WorkerPool(problem("Sleepy"), workers=0)


SCRIPT = """
import sys
import numpy as np
from pathlib import Path
from evometa.executors.executor import Trial, run_in_order
from evometa.executors.worker_pool import WorkerPool
{definition}

def main():
    with WorkerPool({problem}, workers=1) as pool:
        print(run_in_order(pool, [Trial(np.float32(0), (0,))]))

{start}
"""


def start(tmp_path: Path, **parts: str) -> "subprocess.Popen[str]":
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(**{"definition": "", "start": "main()", **parts}))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}  # wherever the package was found
    command = [sys.executable, str(script)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def eventually(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def free(lock: Path) -> bool:
    with lock.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_outlives_the_parent(tmp_path: Path, number: signal.Signals) -> None:
    lock = tmp_path / "lock"
    definition = f"from evometa.naming import load; Lingering = load({f'{FILE}:Lingering'!r})"
    with start(tmp_path, definition=definition, problem=f"Lingering(lock=Path({str(lock)!r}))") as parent:
        assert eventually(lock.with_suffix(".taken").exists)
        assert not free(lock)
        parent.send_signal(number)
        parent.communicate(timeout=60)
    assert eventually(lambda: free(lock))  # the worker and the process it started are both gone


DEFINITION = textwrap.dedent(
    """
    from evometa import Box, HostProblem

    class Mine(HostProblem):
        space = Box(())

        def evaluate(self, rng, omega):
            return omega + 2.5
    """
)


def test_a_class_of_the_running_script(tmp_path: Path) -> None:
    guarded = 'if __name__ == "__main__":\n    main()'
    with start(tmp_path, definition=DEFINITION, problem="Mine()", start=guarded) as script:
        output, _ = script.communicate(timeout=60)
    outcome = "fitness=2.5, metrics={}, failure=None, vectors={}, evaluations=1, error=None, drew=False, seconds="
    assert output.startswith(f"[Outcome({outcome}")


def test_a_script_that_starts_its_search_when_imported_is_told_so(tmp_path: Path) -> None:
    with start(tmp_path, definition=DEFINITION, problem="Mine()") as script:
        _, words = script.communicate(timeout=60)
    assert script.returncode == 1
    assert "put the lines that start it under `if __name__ == '__main__':`" in words


def does(*codes: str, workers: int = 1, **limits: Any) -> list[Outcome]:
    """Return the outcomes of candidates that each run a piece of code; a single worker runs them in turn."""
    time_limit = limits.pop("time_limit", None)
    with WorkerPool(problem("Does", codes=codes, time_limit=time_limit), workers, **limits) as pool:
        return evaluate(pool, [np.int32(i) for i in range(len(codes))], seed=(0,))


PROBE = """
import os, random, signal, sys, warnings
assert os.getcwd() != "/" and "SET_BY_A_CANDIDATE" not in os.environ and os.environ["PATH"]
assert signal.getitimer(signal.ITIMER_REAL)[0] == 0 and signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
assert signal.SIGUSR1 not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
import numpy
assert os.umask(0o77) != 0o777 and sys.getrecursionlimit() > 500 and numpy.geterr()["over"] == "warn"
assert sys.path and "/elsewhere" not in sys.path
warnings.warn("a candidate may warn")
print("still heard", file=sys.stderr, flush=True)
"""


def test_a_call_finds_the_process_as_the_first_one_did(capsys: pytest.CaptureFixture[str]) -> None:
    codes = (
        "import os; os.chdir('/')",
        "import os; os.environ['SET_BY_A_CANDIDATE'] = '1'; del os.environ['PATH']",
        "import os; os.umask(0o777)",
        "import sys; sys.setrecursionlimit(200)",
        "import numpy; numpy.seterr(all='ignore')",
        "import warnings; warnings.simplefilter('error')",
        "import warnings; warnings.filters = [('error', None, Warning, None, 0)]",
        "import sys; sys.path.insert(0, '/elsewhere')",
        "import sys; sys.path = []",
        "import os; os.environ = {'SET_BY_A_CANDIDATE': '1'}",
        "import signal; signal.signal(signal.SIGALRM, signal.SIG_IGN)",
        "import sys; sys.stdout.close(); sys.stderr.close()",
        "import os; os.close(1); os.close(2); os.close(0)",
        "import io, sys; sys.stdout = sys.stderr = io.StringIO()",
        "import signal; signal.signal(signal.SIGALRM, lambda *_: 1 / 0); signal.alarm(1)",
        "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])",
        "import tempfile, os; d = tempfile.mkdtemp(); os.chdir(d); os.rmdir(d)",
        "import os\nif os.fork() == 0: raise ValueError('the child of a fork has nothing to answer')",
        "import threading, time; threading.Thread(target=time.sleep, args=(1000,)).start()",
    )
    draws = "import numpy, random; result = random.gauss(0, 1) + numpy.random.normal()"
    every = (*(code for one in codes for code in (one, PROBE)), draws)
    with WorkerPool(problem("Does", codes=every), 1) as pool:
        *outcomes, _ = evaluate(pool, [np.int32(i) for i in range(len(every))], seed=(0,))
        drawn = run_in_order(pool, [Trial(np.int32(len(every) - 1), seed) for seed in ((1,), (2,), (1,))])
    assert drawn[0].fitness == drawn[2].fitness != drawn[1].fitness
    assert [(one.fitness, one.failure) for one in outcomes] == [(1.0, None)] * len(outcomes)
    assert capsys.readouterr().err.count("still heard") == len(codes)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("__import__('numpy').float32(2.5)", 2.5),
        ("__import__('numpy').array(3)", 3.0),
        ("__import__('jax.numpy').numpy.float32(0.5)", 0.5),
        ("__import__('jax.numpy').numpy.bfloat16(0.5)", 0.5),
        ("10**30", 1e30),
        ("10**400", "non-finite fitness: inf"),
        ("float('-inf')", "non-finite fitness: -inf"),
        ("1j", "fitness is complex"),
        ("True", "fitness is bool"),
        ("'0.5'", "fitness is str"),
        ("{'fitness': 1.0}", "fitness is dict"),
        ("(1.0, {'accuracy': 2.0})", "fitness is a tuple of 2"),
        ("[[1.0], [1.0, 2.0]]", "fitness is a list of 2"),
        ("__import__('numpy').zeros((1000, 1000))", "fitness is an array of shape (1000, 1000)"),
        ("Evaluation(1.0, [2.0])", "evaluate expects to return metrics as a dict of numbers; they are a list of 1"),
        ("Evaluation(1.0, {'lost': 2.0})", "add 'lost' to metric_names"),
        ("Evaluation(1.0, measures=[1.0])", "evaluate expects 0 measures, as vector_lengths of the problem says"),
    ],
    ids=str,
)
def test_what_a_problem_may_return(value: str, expected: Any) -> None:
    from evometa.executors.returned import read_result

    names: dict[str, Any] = {}
    exec(f"from evometa import Evaluation\nresult = {value}", names)
    found = read_result(problem("Does"), "evaluate", names["result"])
    if isinstance(expected, str):
        assert expected in found["failure"]
        assert "\n" not in found["failure"]
    else:
        assert found["fitness"] == expected


UNPRINTABLE = """
class Silent(Exception):
    def __str__(self): raise RuntimeError
raise Silent
"""


def test_whatever_is_raised_is_told_in_a_line_with_its_traceback_beside_it() -> None:
    outcomes = does(
        "raise KeyboardInterrupt",
        "raise BaseException('odd')",
        UNPRINTABLE,
        "raise ValueError('x' * 10**6)",
        "raise ValueError('first line\\nsecond \\udc80')",
        "raise ExceptionGroup('several', [ValueError(1), TypeError(2)])",
        "import sys; sys.setrecursionlimit(200)\ndef f(): f()\nf()",
    )
    assert [one.failure is not None and "\n" not in one.failure for one in outcomes] == [True] * len(outcomes)
    interrupted, base, silent, long, lines, group, deep = (one.failure or "" for one in outcomes)
    assert interrupted.startswith("raised: KeyboardInterrupt")
    assert base.startswith("raised: BaseException: odd (misbehaving.py, line")
    assert "Silent: (its message cannot be printed)" in silent
    assert len(long) < 500
    assert "first line second \\udc80" in lines
    assert "several (2 sub-exceptions)" in group
    assert "RecursionError" in deep
    assert all(one.kind.startswith("raised: ") and "(misbehaving.py, line" in one.kind for one in outcomes)
    assert all(
        "Traceback" in (one.error or "") and len(one.error or "") < 9000 for one in outcomes if one is not outcomes[2]
    )


def test_printing_without_end_defeats_no_limit_and_keeps_nobody_waiting(capsys: pytest.CaptureFixture[str]) -> None:
    spam = "import os\nwhile True: os.write(2, b'warning: step size too small\\n' * 40000)"
    with WorkerPool(problem("Does", codes=(spam, "result = 2.0"), time_limit=2.0), workers=2) as pool:
        numbers = pool.submit([Trial(np.int32(i), (0,)) for i in (0, 1, 1)])
        outcomes = list(pool.as_completed())
    assert [number for number, _ in outcomes][-1] == numbers[0]  # the others did not wait
    assert outcomes[-1][1].failure == "time limit of 2 s exceeded"
    printed = capsys.readouterr().err
    assert "one call printed more than 65,536 bytes; the rest is not shown" in printed
    assert len(printed) < 70_000


LEAK = """
import os, resource
kept.append(bytearray(b"1" * 20_000_000))
if len(kept) > 4: {then}
result = float(os.getpid())
"""


def test_calls_lost_to_what_earlier_calls_left_are_tried_again_on_fresh_workers() -> None:
    ends = ["os.kill(os.getpid(), 9)", "os._exit(1)", "raise MemoryError", "raise OSError(24, 'Too many open files')"]
    # Each fifth call of a worker is lost, in one way after the other: a lost one is the first of the next worker.
    outcomes = does(*[LEAK.format(then=ends[max(0, i // 4 - 1)]) for i in range(20)])
    assert [one.failure for one in outcomes] == [None] * 20
    assert [i for i, one in enumerate(outcomes) if one.evaluations == 2] == [4, 8, 12, 16]
    assert len({one.fitness for one in outcomes}) == 5


def test_a_worker_is_replaced_after_so_many_calls() -> None:
    outcomes = does(*["import os; result = float(os.getpid())"] * 3, calls=2)
    assert [one.failure for one in outcomes] == [None] * 3
    assert [one.fitness == outcomes[0].fitness for one in outcomes] == [True, True, False]


def test_a_worker_is_replaced_after_so_many_bytes() -> None:
    # The limit lies below what it takes to start: replaced when it has grown by a quarter.
    code = "import os; kept.append(bytearray(b'1' * 90_000_000)); result = float(os.getpid())"
    outcomes = does(*[code] * 4, memory=1)
    assert [one.failure for one in outcomes] == [None] * 4
    assert len({one.fitness for one in outcomes}) == 2


def test_a_candidate_that_always_kills_its_worker_fails_after_a_few_tries() -> None:
    before, first, closed = does("pass", "import os; os.kill(os.getpid(), 9)", "import os; os.closerange(3, 100)")
    assert before.failure is None
    assert (first.failure, first.evaluations) == ("worker died (signal 9)", 4)
    assert closed.failure is not None
    assert closed.failure.startswith("worker died (")


def test_what_a_call_started_ends_with_its_worker_and_exit_handlers_run(tmp_path: Path) -> None:
    here = repr(str(tmp_path))
    starts = f"""
import atexit, pathlib, subprocess, time
child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
pathlib.Path({here}, "child").write_text(str(child.pid))
atexit.register(pathlib.Path({here}, "exit").touch)
"""
    hangs = f"""
import pathlib, time
try: time.sleep(1000)
finally: pathlib.Path({here}, "unwound").touch()
"""
    (outcome,) = does(starts + hangs, time_limit=2.0)
    assert outcome.failure == "time limit of 2 s exceeded"
    assert (tmp_path / "unwound").exists()
    assert (tmp_path / "exit").exists()
    child = int((tmp_path / "child").read_text())
    state = Path(f"/proc/{child}/stat")
    assert eventually(lambda: not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z")


def test_names_of_the_users_file_are_importable_in_the_processes_of_a_candidate() -> None:
    spawn = """
import importlib, multiprocessing
import misbehaving
assert importlib.import_module(misbehaving.square.__module__).square is misbehaving.square
with multiprocessing.get_context("spawn").Pool(1) as pool: result = float(sum(pool.map(misbehaving.square, [1, 2])))
"""
    loky = """
import joblib, misbehaving
result = float(sum(joblib.Parallel(n_jobs=2)(joblib.delayed(misbehaving.square)(x) for x in (1, 2))))
"""
    assert [(one.fitness, one.failure) for one in does(spawn, loky)] == [(5.0, None)] * 2


def test_random_kills_of_workers_change_nothing(tmp_path: Path) -> None:
    rng, left, ended = np.random.default_rng(0), 30, threading.Event()

    def kill() -> None:
        nonlocal left
        while left and not ended.wait(rng.uniform(0.02, 0.25)):
            workers = [
                number
                for number in descendants(os.getpid())
                if b"evometa.executors.worker import main" in command_of(number)
            ]
            if workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(rng.choice(sorted(workers))), signal.SIGKILL)
                    left -= 1

    killer = threading.Thread(target=kill)

    def callback(report: Any) -> bool:
        if killer.ident is None:
            killer.start()
        return not killer.is_alive()

    found = {}
    for name, workers, callbacks in (("pool", 2, [callback]), ("undisturbed", 0, [])):
        search = Search(
            Probe(),
            GeneticAlgorithm(8),
            run_directory=tmp_path / name,
            workers=workers,
            callbacks=callbacks,
            progress=False,
            trials=False,
        )
        try:
            result = search.run(generations=found["pool"][0] if found else 1000)
        finally:
            ended.set()
        files = [(tmp_path / name / file).read_bytes() for file in ("history.csv", "failures.txt")]
        found[name] = result.generations, result.evaluations, files
    assert left == 0
    assert found["pool"] == found["undisturbed"]


def command_of(number: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{number}/cmdline").read_bytes()
    return b""
