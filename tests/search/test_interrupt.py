"""Ctrl-C ends a search at a checkpoint; a resumed search continues bit for bit."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from evometa import Search, load_result
from evometa.naming import load
from evometa.search.callbacks import as_callback
from evometa.search.interrupt import Interrupt
from evometa.storage import checkpoint
from evometa.storage.history import HISTORY
from evometa.strategies import OpenAIES, RandomSearch

RUNNER = Path(__file__).parents[1] / "runner.py"
Chase = load(f"{Path(__file__).parents[1] / 'toys.py'}:Chase")


def test_a_process_ends_cleanly_and_the_run_goes_on_to_the_bit(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, str(RUNNER), str(folder), str(10**9)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        while not any((folder / checkpoint.CHECKPOINTS).glob("[0-9]*")):  # it searches by now
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        output, words = process.communicate(timeout=120)
    assert (process.returncode, output) == (0, "ready\ninterrupted\n"), words
    assert words.startswith("compiling ...\n")

    saved = max(int(path.name) for path in (folder / checkpoint.CHECKPOINTS).glob("[0-9]*"))
    rows = (folder / HISTORY).read_text().splitlines()
    assert int(rows[-1].split(",")[0]) == saved  # nothing is lost: the checkpoint is of the last generation

    resumed = Search.resume(folder)
    resumed.run(generations=saved + 50)
    whole = Search(
        Chase(), OpenAIES(population_size=8), seed=3, run_directory=tmp_path / "whole", validate_every=7,
        validation_tasks=4, finalists=0,
    )  # fmt: skip
    whole.run(generations=saved + 50)
    assert (folder / HISTORY).read_bytes() == (tmp_path / "whole" / HISTORY).read_bytes()
    for one, other in zip(jax.tree.leaves(resumed._run.state), jax.tree.leaves(whole._run.state), strict=True):
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()


def interrupting(times: int) -> Any:
    def callback(report: Any) -> None:
        if report.status.generation >= 5:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)

    return callback


def test_once_returns_the_result_and_restores_the_handler() -> None:
    before = signal.getsignal(signal.SIGINT)
    one = Search(Chase(), OpenAIES(population_size=8), validation_tasks=2, callbacks=[interrupting(1)])
    result = one.run(generations=10**9)
    assert result.stop_reason == "interrupted"
    assert result.generations >= 5
    assert len(one.history) == result.generations
    assert signal.getsignal(signal.SIGINT) is before


def test_twice_raises_and_the_search_can_still_go_on(tmp_path: Path) -> None:
    for options in ({}, {"run_directory": tmp_path / "run"}):
        one = Search(Chase(), OpenAIES(population_size=8), validation_tasks=2, callbacks=[interrupting(2)], **options)
        with pytest.raises(KeyboardInterrupt):
            one.run(generations=10**9)
        one.running.callbacks = ()
        generations = one._run.counters.generation + 20
        assert one.run(generations=generations).generations == generations
        assert one.history["generation"].tolist() == list(range(1, generations + 1))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_terminate_leaves_a_checkpoint(tmp_path: Path, number: int) -> None:
    def terminate(report: Any) -> None:
        if report.status.generation >= 5:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    one = Search(Chase(), OpenAIES(population_size=8), validation_tasks=2, run_directory=tmp_path / "run")
    one.running.callbacks = (as_callback(terminate),)
    with pytest.raises(SystemExit) as ended:
        one.run(generations=10**9)
    assert (ended.value.code, signal.getsignal(number)) == (128 + number, before)
    result = load_result(tmp_path / "run")
    assert (result.stop_code, result.selection_tasks) == ("interrupted", 0)  # no final selection
    assert checkpoint.progress(tmp_path / "run")["generation"] == result.generations  # type: ignore[index]
    heard: list[int] = []
    signal.signal(number, lambda number, frame: heard.append(number))
    try:
        assert one.run(generations=10**9).stop_code == "interrupted"
        assert heard == [number]  # a handler of the user's own comes after
        signal.signal(number, signal.SIG_IGN)  # nohup
        one.running.callbacks = (as_callback(lambda report: os.kill(os.getpid(), number)),)
        generations = one._run.counters.generation + 9
        assert one.run(generations=generations).stop_code == "generations"
    finally:
        signal.signal(number, before)


def test_outside_the_main_thread_a_search_runs_without_a_handler() -> None:
    found: list[Any] = []

    def work() -> None:
        one = Search(Chase(), OpenAIES(population_size=8), validation_tasks=2)
        found.append(one.run(generations=3).generations)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [3]


def test_a_handler_set_by_others_comes_back() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        with Interrupt() as interrupt:
            signal.raise_signal(signal.SIGINT)
            assert interrupt.requested
            assert heard == []
        signal.raise_signal(signal.SIGINT)
        assert heard == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("signals", "least"), [((signal.SIGINT,) * 2, 0.0), ((signal.SIGINT,), 0.3)])
def test_calls_that_hang_are_given_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, signals: Any, least: float
) -> None:
    monkeypatch.setattr("evometa.search.interrupt.PATIENCE", 60.0 if len(signals) == 2 else least)
    monkeypatch.setattr("evometa.executors.crew.LOOK", 0.05)
    flag, folder = tmp_path / "hang", tmp_path / "run"
    problem = load(f"{Path(__file__).parents[1] / 'user_files' / 'hanging.py'}:Hanging")(flag=str(flag))
    settings: Any = {"seed": 1, "workers": 2, "validation_share": 0.0}

    def hang(report: Any) -> None:
        if flag.exists():
            return
        flag.touch()
        for number, at in zip(signals, (0.3, 0.5), strict=False):
            threading.Timer(at, os.kill, (os.getpid(), number)).start()

    with caplog.at_level(logging.INFO, "evometa"):
        result = Search(problem, RandomSearch(4), run_directory=folder, callbacks=[hang], **settings).run(
            generations=10**9
        )
    assert result.stop_code == "interrupted"
    assert "ending after the 4 calls that are left in this step; Ctrl-C gives them up" in caplog.text
    flag.unlink()
    resumed = Search.resume(folder)
    resumed.run(generations=result.generations + 3)
    whole = Search(problem, RandomSearch(4), **settings)
    whole.run(generations=result.generations + 3)
    assert resumed.history["best"].tolist() == whole.history["best"].tolist()


def test_a_search_whose_first_calls_hang_returns_and_blocks_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evometa.search.interrupt.PATIENCE", 0.1)
    flag = tmp_path / "hang"
    flag.touch()
    problem = load(f"{Path(__file__).parents[1] / 'user_files' / 'hanging.py'}:Hanging")(flag=str(flag))
    before = signal.getsignal(signal.SIGINT)

    def interrupt() -> None:
        while signal.getsignal(signal.SIGINT) is before:  # before the search listens, it would end the tests
            time.sleep(0.05)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    result = Search(problem, RandomSearch(4), run_directory=tmp_path / "run", workers=1).run(generations=2)
    assert (result.stop_code, result.generations) == ("interrupted", 0)
    flag.unlink()
    assert (
        Search(problem, RandomSearch(4), run_directory=tmp_path / "run", workers=1).run(generations=1).generations == 1
    )


def test_an_interrupt_of_the_compiler_is_answered_at_once() -> None:
    code = """
import hashlib, os, signal, sys, threading
from evometa.search.interrupt import told_of_interrupts
try:
    with told_of_interrupts(lambda words: print(words, flush=True)):
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 4_000_000)  # like the compiler, it takes no notice of signals
except KeyboardInterrupt:
    print("ended")
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines()[0].startswith("interrupted: ends when the compiler is done")
    assert printed.splitlines()[-1] == "ended"
