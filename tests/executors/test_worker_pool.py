"""Worker processes: whatever user code does costs one candidate, never the search."""

import fcntl
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import ConfigurationError, HostProblem
from evometa.executors.executor import Outcome, Trial, run_in_order
from evometa.executors.worker_pool import WorkerPool
from evometa.naming import load

FILE = Path(__file__).parents[1] / "user_files" / "misbehaving.py"
GOOD, RAISE, HANG, DIE, EXIT, NAN, PRINT, NOTHING, ARRAY, QUIT, BAD_METRIC, PROTOCOL = range(12)


def problem(name: str, **fields: Any) -> HostProblem:
    made: HostProblem = load(f"{FILE}:{name}", HostProblem)(**fields)
    return made


def omega(action: int, value: float = 0.0) -> Any:
    return np.array([action, value], np.float32)


def evaluate(pool: WorkerPool, omegas: list[Any], seed: Any, *, test: bool = False) -> list[Outcome]:
    method: Any = "evaluate_test" if test else "evaluate"
    return run_in_order(pool, [Trial(one, tuple(seed), method) for one in omegas])


def line_of(code: str) -> int:
    return next(number for number, line in enumerate(FILE.read_text().splitlines(), 1) if code in line)


def test_each_fault_costs_one_candidate_and_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    actions = [HANG, RAISE, DIE, EXIT, GOOD, NAN, PRINT, NOTHING, ARRAY, QUIT, BAD_METRIC, PROTOCOL]
    draw = np.random.default_rng([5, 1]).random()
    with WorkerPool(problem("Misbehaving", time_limit=4), workers=2) as pool:
        outcomes = evaluate(pool, [omega(action, 3.0) for action in actions], seed=[5, 1])
        again = evaluate(pool, [omega(GOOD, 1.0), omega(GOOD, 2.0)], seed=[5, 1])
    by_action = dict(zip(actions, outcomes, strict=True))
    for action in (GOOD, PRINT, PROTOCOL):
        assert by_action.pop(action) == Outcome(6.0 + draw, {}, None)
    assert [one.fitness for one in again] == [2.0 + draw, 4.0 + draw]
    expected = "evaluate expects to return a number or an Evaluation of numbers; "
    assert {action: one.failure for action, one in by_action.items()} == {
        HANG: "time limit of 4 s exceeded",
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


def test_order_and_results_do_not_depend_on_the_workers() -> None:
    sleepy = problem("Sleepy")
    omegas = [np.float32(i) for i in range(5)]
    directly: list[Any] = [sleepy.evaluate(np.random.default_rng([0, 7]), one) for one in omegas]
    for workers in (1, 3):
        with WorkerPool(sleepy, workers) as pool:
            outcomes = evaluate(pool, omegas, seed=(0, 7))
        assert outcomes == [Outcome(one.fitness, one.metrics, None) for one in directly]


def test_omega_arrives_with_the_structure_and_types_of_the_space() -> None:
    structured = problem("Structured")
    space = structured.space
    omegas = [jax.device_get(space.decode(space.sample(jax.random.key(i)))) for i in range(2)]
    expected = [float(w["z"] + w["a"].sum() + (w["m"][0] + np.float32(1)).sum() + w["m"][1]["half"]) for w in omegas]
    assert omegas[0]["m"][1]["half"].dtype == jnp.bfloat16
    with WorkerPool(structured, workers=1) as pool:
        outcomes = evaluate(pool, omegas, seed=[0])
    assert outcomes == [Outcome(value, {}, None) for value in expected]


def test_held_out_judgement_and_a_worker_that_dies_while_idle() -> None:
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
        WorkerPool(broken, workers=2) as pool,
        pytest.raises(ConfigurationError, match=r"(?s)exit status 1.*study\.py.*No module named 'not_there'"),
    ):
        evaluate(pool, [np.float32(0)] * 3, seed=[0])


def test_trials_submitted_meanwhile_are_completed_too_and_a_budget_is_refused() -> None:
    with WorkerPool(problem("Misbehaving"), workers=2) as pool:
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
    assert output == "[Outcome(fitness=2.5, metrics={}, failure=None, vectors={}, evaluations=1, error=None)]\n"


def test_a_script_that_starts_its_search_when_imported_is_told_so(tmp_path: Path) -> None:
    with start(tmp_path, definition=DEFINITION, problem="Mine()") as script:
        _, words = script.communicate(timeout=60)
    assert script.returncode == 1
    assert "put the lines that start it under `if __name__ == '__main__':`" in words
