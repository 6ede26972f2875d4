"""Workers on Ray: a real cluster of two nodes on this machine, and what is lost there."""

import collections
import contextlib
import csv
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evometa import ConfigurationError, Ray, Search
from evometa.executors import ray_cluster, ray_executor
from evometa.executors.executor import Trial, WorkersLost, run_in_order
from evometa.executors.in_process import InProcess
from evometa.executors.messages import pack_trial
from evometa.executors.processes import descendants
from evometa.executors.ray_executor import RayExecutor
from evometa.naming import load
from evometa.strategies import GeneticAlgorithm
from evometa.testing import check_executor
from evometa.testing.executors import Probe

ray = pytest.importorskip("ray", reason="Ray is not installed; pip install 'evometa[ray]' for these tests")

FILE = Path(__file__).parents[1] / "user_files" / "misbehaving.py"
HANGING = Path(__file__).parents[1] / "user_files" / "hanging.py"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Yield a cluster of two nodes on the loopback interface, with one core each."""
    from ray.cluster_utils import Cluster

    constants = ray._private.ray_constants
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**ray_cluster.SWITCHES, "RAY_DEDUP_LOGS": "0"}.items():
            patch.setenv(name, value)
        patch.setattr(constants, "ENABLE_RAY_CLUSTER", False)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*fork")  # how Ray starts processes
            before = signal.getsignal(signal.SIGTERM)
            nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
            nodes.add_node(num_cpus=1)
            signal.signal(signal.SIGTERM, before)  # a node in the process of the tests would end them all
        try:
            yield nodes
        finally:
            nodes.shutdown()


def on(cluster: Any, **settings: Any) -> Ray:
    return Ray(**{"address": cluster.address, "workers": 2, **settings})


def files(folder: Path) -> dict[str, Any]:
    """Return the files of a run that do not depend on where its calls run, without the seconds that they took."""
    found = {name: (folder / name).read_text().splitlines() for name in ("history.csv", "failures.txt", "trials.csv")}
    rows = list(csv.reader(found["trials.csv"]))
    column = rows[0].index("seconds")
    return found | {"trials.csv": [row[:column] + row[column + 1 :] for row in rows]}


def processes() -> dict[str, list[int]]:
    """Return the numbers of this test's processes that are actors of evometa, and worker processes beside them."""
    found: dict[str, list[int]] = {"actor": [], "worker": []}
    for number in descendants(os.getpid()):
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{number}/cmdline").read_bytes()
            found["actor"] += [number] if command.startswith(b"ray::RayWorker") else []
            found["worker"] += [number] if b"evometa.executors.worker import main" in command else []
    return found


class Kept(RayExecutor):
    """Stays connected, since its workers take seconds to start."""

    connected = False

    def __enter__(self) -> "Kept":
        if not self.connected:
            super().__enter__()
            self.connected = True
        return self

    def __exit__(self, *_: Any) -> None:
        pass


def test_it_keeps_the_contract(cluster: Any) -> None:
    executor = Kept(Probe(), on(cluster))
    try:
        check_executor(lambda problem: executor)
    finally:
        RayExecutor.__exit__(executor, None, None, None)


@pytest.mark.parametrize(("gpus", "platforms"), [(0.0, "cpu"), (0.5, "cuda,cpu")])
def test_jax_keeps_to_the_cpu_in_workers_without_gpus(
    gpus: float, platforms: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evometa.executors.ray_worker import RayWorker

    monkeypatch.setenv("JAX_PLATFORMS", "cuda,cpu")
    code = f"import os; result = float(os.environ['JAX_PLATFORMS'] == {platforms!r})"
    worker = RayWorker(RayExecutor(load(f"{FILE}:Does")(codes=(code,)), Ray(gpus=gpus))._post)
    try:
        answer = json.loads(worker.call({0: pack_trial(Trial(np.int32(0), (0,)), 0)}))
    finally:
        worker.close()
    assert answer["outcomes"][0][1]["fitness"] == 1.0


class Killer(threading.Thread):
    """Kills processes at random moments, and a node once."""

    def __init__(self, cluster: Any, kills: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.cluster, self.left, self.rng = cluster, kills, np.random.default_rng(seed)

    def run(self) -> None:
        while self.left:
            time.sleep(self.rng.uniform(0.02, 0.2))
            victims = processes()["actor" if self.rng.random() < 0.25 else "worker"]  # actors take longer to start
            if not victims:
                continue
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(self.rng.choice(sorted(victims))), signal.SIGKILL)
                self.left -= 1
            if self.left == 20:  # the system ends all processes of a node whose first one is gone
                (node,) = self.cluster.worker_nodes
                os.kill(node.all_processes["raylet"][0].process.pid, signal.SIGKILL)


def test_faults_of_calls_are_failures_and_lost_calls_are_none(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_executor, "LEAST_STRAGGLER", 1.0)
    sizes, hand = collections.Counter[int](), RayExecutor._hand

    def counted(self: RayExecutor, actor: Any, numbers: list[int]) -> None:
        sizes[len(numbers)] += 1
        hand(self, actor, numbers)

    monkeypatch.setattr(RayExecutor, "_hand", counted)
    misbehaving = load(f"{FILE}:Misbehaving")(time_limit=2.0)
    with RayExecutor(misbehaving, on(cluster, retries=0)) as executor:
        good, hang, quits = (np.array([action, 3.0], np.float32) for action in (0, 2, 9))
        outcomes = run_in_order(executor, [Trial(one, (5, 1)) for one in (hang, good, quits, good)])
        assert [one.failure for one in outcomes] == [
            "time limit of 2 s exceeded",
            None,
            "worker died (exit status 3)",
            None,
        ]
        assert outcomes[1].fitness == outcomes[3].fitness == 6.0 + np.random.default_rng([5, 1]).random()

        # A worker that is stuck keeps nobody waiting, whether it is at the call or the call waits there.
        stuck = processes()["actor"][0]
        os.kill(stuck, signal.SIGSTOP)
        try:
            numbers = executor.submit([Trial(good, (5, i)) for i in range(6)])
            again = list(executor.as_completed())
        finally:
            os.kill(stuck, signal.SIGCONT)
        assert sorted(number for number, _ in again) == numbers
        assert all(one.failure is None for _, one in again)

        # Short calls share messages. Those that wait behind one that is suddenly long are made by the other worker.
        numbers = executor.submit([Trial(hang if i == 5 else good, (5, i)) for i in range(24)])
        shared = list(executor.as_completed())
        assert sorted(number for number, _ in shared) == numbers
        assert shared[-1][0] == numbers[5]
        assert [number for number, one in shared if one.failure is not None] == [numbers[5]]
        assert max(sizes) > 2

        # With no retries left, a call that is lost ends the search, which can be continued.
        executor.submit([Trial(hang, (5, 1))])
        threading.Timer(1.0, lambda: [os.kill(number, signal.SIGKILL) for number in processes()["actor"]]).start()
        with pytest.raises(WorkersLost, match=r"lost with its worker .* 1 times, and Ray\(retries=0\).*evometa resume"):
            list(executor.as_completed())
        assert list(executor.as_completed()) == []


def test_random_kills_of_workers_and_a_node_change_nothing(cluster: Any, tmp_path: Path) -> None:
    killer = Killer(cluster, kills=30, seed=0)

    def callback(report: Any) -> bool:
        if killer.ident is None:
            killer.start()
        return not killer.is_alive()

    strategy, settings = GeneticAlgorithm(16), on(cluster, retries=30)
    search = Search(
        Probe(), strategy, run_directory=tmp_path / "ray", workers=settings, progress=False, callbacks=[callback]
    )
    result = search.run(generations=1000)
    assert result.stop_code == "callback"
    assert killer.left == 0
    again = Search(Probe(), strategy, run_directory=tmp_path / "undisturbed", workers=0, progress=False)
    undisturbed = again.run(generations=result.generations)
    assert files(tmp_path / "ray") == files(tmp_path / "undisturbed")
    assert result.evaluations == undisturbed.evaluations


def test_a_search_that_loses_a_call_for_good_keeps_its_generations_and_can_be_continued(tmp_path: Path) -> None:
    class Loses(InProcess):
        """Loses its 20th call."""

        def as_completed(self) -> Any:
            for number, outcome in super().as_completed():
                if number == 20:
                    raise WorkersLost("gone")
                yield number, outcome

    strategy = GeneticAlgorithm(8)
    search = Search(Probe(), strategy, run_directory=tmp_path / "run", workers=Loses, progress=False)
    with pytest.raises(WorkersLost, match="gone"):
        search.run(generations=4)
    assert len((tmp_path / "run" / "history.csv").read_text().splitlines()) == 3  # two generations of eight
    Search.resume(tmp_path / "run", workers=0, progress=False).run(generations=4)
    Search(Probe(), strategy, run_directory=tmp_path / "whole", workers=0, progress=False).run(generations=4)
    assert files(tmp_path / "run") == files(tmp_path / "whole")


def test_what_is_wrong_with_ray_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def begins(**settings: Any) -> None:
        with RayExecutor(Probe(), Ray(**settings)):
            pass

    begun = time.monotonic()
    with pytest.raises(ConfigurationError, match=r"none answered within 1 s.*correct --ray-address"):
        begins(address="127.0.0.1:9", start_limit=1)
    assert time.monotonic() - begun < 20
    with pytest.raises(ConfigurationError, match=r"or auto, got ray://there:1"):
        begins(address="ray://there:1")
    refusal = "ray.exceptions.AuthenticationError: RPC error: InvalidAuthToken: Authentication token is missing"
    with monkeypatch.context() as patch:
        answer = subprocess.CompletedProcess([], 1, "", refusal)
        patch.setattr(ray_cluster.subprocess, "run", lambda *_, **__: answer)
        with pytest.raises(ConfigurationError, match="refused this process; set RAY_AUTH_MODE=token"):
            begins(address="127.0.0.1:9")
    monkeypatch.setattr(ray, "__version__", "2.9.1")
    with pytest.raises(ConfigurationError, match=r"ray 2\.\d+ or later, got 2\.9\.1; upgrade it"):
        begins()
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigurationError, match=r"expect the package ray.*pip install 'evometa\[ray\]'"):
        begins()
    with pytest.raises(ConfigurationError, match=r"to be a number of at least 0, got -1"):
        Ray(cpus=-1)
    for wrong, words in (
        ({"address": ""}, "address to be a non-empty string or None, got ''"),
        ({"resources": {"simulator": -1}}, "numbers of at least 0 as values, got {'simulator': -1}"),
        ({"resources": {"GPU": 1}}, "resources other than CPU cores and GPUs, got 'GPU'; give gpus=1"),
        ({"gpus": 1.5}, "a part of one GPU or a whole number of them, got 1.5"),
    ):
        with pytest.raises(ConfigurationError, match=re.escape(words)):
            Ray(**wrong)


SCRIPT = """
import os, pathlib, socket, sys, time
import numpy as np
import evometa as em

class Mine(em.HostProblem):
    space = em.Box((2,), -1.0, 1.0)

    def evaluate(self, rng, omega):
        pathlib.Path(sys.argv[1]).touch() if len(sys.argv) > 1 else None
        time.sleep({seconds})
        return float(np.sum(omega**2))

if __name__ == "__main__":
    search = em.Search(Mine(), em.strategies.RandomSearch(4), workers=em.Ray(workers=1), progress=False)
    print(search.run(generations=1).evaluations)
"""


def test_a_local_cluster_listens_on_the_loopback_alone_and_nothing_of_it_is_left(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": "/tmp"}
    with contextlib.ExitStack() as stack:
        runs = {}
        for number in (None, signal.SIGKILL):
            script = tmp_path / f"ends_by_{number}.py"
            script.write_text(SCRIPT.format(seconds=0.0 if number is None else 1000))
            command = [sys.executable, str(script)]
            pipe = subprocess.PIPE
            runs[number] = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment)
            stack.enter_context(runs[number])
            stack.callback(runs[number].kill)
        for number, run in runs.items():
            if number is None:
                output, words = run.communicate(timeout=120)
                assert output == "4\n", words
                continue
            assert eventually(lambda run=run: any(map(is_worker, descendants(run.pid))))
            family = descendants(run.pid)
            assert listening(family) <= {"0100007F", "0000000000000000FFFF00000100007F"}
            run.send_signal(number)
            run.communicate(timeout=60)
            assert eventually(lambda family=family: not [one for one in family if alive(one, family[one])])


def is_worker(number: int) -> bool:
    with contextlib.suppress(OSError):
        return b"evometa.executors.worker import main" in Path(f"/proc/{number}/cmdline").read_bytes()
    return False


def alive(number: int, started: str) -> bool:
    with contextlib.suppress(OSError, IndexError):
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        return fields[19] == started and fields[0] != "Z"
    return False


def listening(family: dict[int, str]) -> set[str]:
    """Return the addresses, as Linux writes them, at which processes listen."""
    sockets = set()
    for number in family:
        with contextlib.suppress(OSError):
            sockets |= {os.readlink(place) for place in Path(f"/proc/{number}/fd").iterdir()}
    rows = [row.split() for name in ("tcp", "tcp6") for row in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return {row[1].partition(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets}


def eventually(condition: Any, seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
    return bool(condition())
