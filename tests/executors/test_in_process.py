"""The in-process executor: what worker processes do, without them."""

import dataclasses
import io
import os
import pdb
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from bdb import BdbQuit
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import Box, ConfigurationError, EvaluationError, HostProblem, Search, Space
from evometa.executors.executor import GivenUp, Outcome, Trial, run_in_order
from evometa.executors.in_process import InProcess
from evometa.naming import load
from evometa.strategies import RandomSearch
from evometa.testing import ContractError, check_executor
from evometa.testing.executors import Probe

FILE = Path(__file__).parents[1] / "user_files" / "misbehaving.py"


def does(*codes: str, time_limit: float | None = None) -> list[Outcome]:
    """Return the outcomes of candidates that each run a piece of code, in this process."""
    problem: HostProblem = load(f"{FILE}:Does", HostProblem)(codes=codes, time_limit=time_limit)
    with InProcess(problem) as executor:
        return run_in_order(executor, [Trial(np.int32(i), (0,)) for i in range(len(codes))])


def test_a_call_leaves_this_process_as_it_was() -> None:
    folder, environment, handler = os.getcwd(), dict(os.environ), signal.getsignal(signal.SIGINT)
    random.seed(1), np.random.seed(1)  # noqa: NPY002
    drawn = random.random(), np.random.random()  # noqa: NPY002
    random.seed(1), np.random.seed(1)  # noqa: NPY002
    codes = (
        "import os; os.chdir('/'); os.environ['SET_BY_A_CANDIDATE'] = '1'",
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)",
        "import os; result = float('SET_BY_A_CANDIDATE' in os.environ)",
        "import random, numpy; result = random.random() + numpy.random.random()",
        "import os, warnings; warnings.simplefilter('ignore')\nif os.fork() == 0: raise ValueError('of a child')",
        "import threadpoolctl; result = float(max(one['num_threads'] for one in threadpoolctl.threadpool_info()))",
    )
    outcomes = does(*codes)
    (slow,) = does("import time; time.sleep(0.1)", time_limit=0.05)
    assert slow.failure == "time limit of 0.05 s exceeded"
    assert outcomes[2].fitness == 0.0
    assert [one.failure for one in outcomes] == [None] * 6
    assert outcomes[5].fitness == float(os.environ.get("OMP_NUM_THREADS", 1))
    assert (os.getcwd(), dict(os.environ), signal.getsignal(signal.SIGINT)) == (folder, environment, handler)
    assert (random.random(), np.random.random()) == drawn  # noqa: NPY002


@dataclasses.dataclass(frozen=True)
class Local(HostProblem):
    """Calls what it is given, which no other process could build."""

    function: Any = None

    @property
    def space(self) -> Space:
        return Box((2,), -1.0, 1.0)

    def evaluate(self, rng: np.random.Generator, omega: Any) -> Any:
        return self.function(omega)


def test_a_problem_that_no_other_process_could_build_is_searched_and_sees_jaxs_switch() -> None:
    types = set()

    def function(omega: Any) -> float:
        types.add(jnp.zeros(()).dtype.name)
        return float(np.sum(omega**2))

    result = Search(Local(function=function), RandomSearch(4), workers=0, progress=False).run(generations=2)
    assert result.evaluations == 8
    assert types == {"float64" if jax.config.jax_enable_x64 else "float32"}  # type: ignore[attr-defined]


def test_a_debugger_can_be_used_and_left(capsys: pytest.CaptureFixture[str]) -> None:
    said = io.StringIO()

    def function(omega: Any) -> float:
        debugger = pdb.Pdb(stdin=commands, stdout=said, nosigint=True, readrc=False)
        debugger.set_trace()
        return float(omega[0])

    commands = io.StringIO("up\ncontinue\np 'sum', 40 + 2\nquit\n")
    with InProcess(Local(function=function)) as executor:
        executor.submit([Trial(np.ones(2), (0,)), Trial(np.ones(2), (1,))])
        completed = executor.as_completed()
        assert next(completed)[1].fitness == 1.0
        with pytest.raises(BdbQuit):
            next(completed)
    assert "('sum', 42)" in said.getvalue()


def hangs(omega: Any) -> float:
    """Press Ctrl-C, a moment later, and wait."""
    threading.Timer(0.1, lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)).start()
    while True:
        try:
            time.sleep(100)
        finally:
            time.sleep(0.0)


def test_ctrl_c_interrupts_a_call_that_the_search_gives_up_and_is_no_failure() -> None:
    asked: list[int] = []

    def gives_up(left: int, returned: float, longest: float) -> bool:
        asked.append(left)
        return len(asked) > 3

    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        with InProcess(Local(function=hangs), gives_up=gives_up) as executor:
            executor.submit([Trial(np.ones(2), (0,))])
            with pytest.raises(GivenUp):
                list(executor.as_completed())
            assert list(executor.as_completed()) == []
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(asked) > 3
    with InProcess(Local(function=hangs)) as executor:  # without a search, Ctrl-C is Python's own
        executor.submit([Trial(np.ones(2), (0,))])
        with pytest.raises(KeyboardInterrupt):
            list(executor.as_completed())


def test_a_search_that_hangs_ends_with_what_it_found(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import time
            import numpy as np
            import evometa as em

            class Mine(em.HostProblem):
                space = em.Box((2,), -1.0, 1.0)
                calls = 0

                def evaluate(self, rng, omega):
                    Mine.calls += 1
                    if Mine.calls == 7:
                        print("hangs", flush=True)
                        time.sleep(1000)
                    return float(np.sum(omega**2))

            print(em.Search(Mine(), em.strategies.RandomSearch(4), workers=0).run(generations=9).stop_code)
            """
        )
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "hangs\n"
        run.send_signal(signal.SIGINT)
        time.sleep(0.5)
        run.send_signal(signal.SIGINT)
        output, words = run.communicate(timeout=60)
    assert output == "interrupted\n", words
    assert "Ctrl-C gives them up" in words


def test_it_keeps_the_contract_and_a_search_with_it_is_that_of_the_pool() -> None:
    check_executor(InProcess)


class Broken(InProcess):
    """Keeps the contract but for one promise."""

    promise = ""

    def submit(self, trials: Any) -> list[int]:
        if self.promise == "numbers":
            return [0 for _ in super().submit(trials)]
        return super().submit(trials)

    def as_completed(self) -> Any:
        for number, outcome in super().as_completed():
            if self.promise == "lost" and number == 2:
                continue
            if self.promise == "failure":
                outcome = outcome._replace(failure=outcome.failure and "failed")
            yield number, outcome.fitness if self.promise == "outcome" else outcome
            if self.promise == "twice":
                yield number, outcome


@pytest.mark.parametrize(
    ("promise", "checked", "searched"),
    [
        ("numbers", "a number for each trial, unlike all others", "a number for each trial, unlike all before"),
        ("lost", "it ended without 1 of", "it ended without 1 of them, such as 2"),
        ("twice", "return each trial once, got 0 twice", "it returned 0 a second time"),
        ("outcome", "pairs of a number and an Outcome, got float", "pairs of a number and an Outcome, got float"),
        ("failure", "a call that raises an error is 'raised: ValueError", ""),
    ],
)
def test_a_broken_promise_is_named_by_the_check_and_ends_a_search(promise: str, checked: str, searched: str) -> None:
    kind = type("Mine", (Broken,), {"promise": promise})
    with pytest.raises(ContractError, match=checked):
        check_executor(kind)
    if searched:
        with pytest.raises(EvaluationError, match=searched):
            Search(Probe(), RandomSearch(8), workers=kind, progress=False).run(generations=1)


def test_what_is_no_executor_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"returns an executor .*, got dict, which has no capacity, no submit"):
        Search(Probe(), RandomSearch(8), workers=lambda problem: {}, progress=False).run(generations=1)  # type: ignore[arg-type,return-value]
    with pytest.raises(ConfigurationError, match=r"takes the problem and returns an executor, and <lambda> cannot be"):
        Search(Probe(), RandomSearch(8), workers=lambda: {}, progress=False).run(generations=1)  # type: ignore[arg-type]
