"""Eight seeds at once against eight runs one after the other: whole seconds, and seconds of searching alone.

Three ways to run the seeds, in turn, in fresh processes with a compilation cache that begins empty for each way:
``runs``, the command line once for each seed; ``searches``, a Python loop over ``em.Search``; and ``SeveralSeeds``. A
second table is of searching alone, a quarter as long, after everything is compiled, with a batch of all seeds by
``vmap`` beside, which records nothing.

    python benchmarks/several_seeds.py
"""

import argparse
import functools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _measure import alone, interleaved, note, parse_arguments, print_table

import evometa as em
from evometa.search.generation import CONTINUE, generation_keys, root_keys, stop_code

PROBLEMS = {
    "sphere": ("em.problems.Sphere()", "em.strategies.CMAES()", "generations"),
    "xor": ("em.problems.XOR()", "em.strategies.NEAT()", "generations"),
}
WAYS = ("runs", "searches", "SeveralSeeds")


def command(way: str, name: str, seeds: int, most: int, folder: str) -> list[list[str]]:
    """Return the command lines of one way."""
    problem, strategy, limit = PROBLEMS[name]
    if way == "runs":
        words = [sys.executable, "-m", "evometa", "run", name, f"--{limit}", f"{most}", "--run-directory"]
        return [[*words, f"{folder}/{seed}", "--seed", f"{seed}"] for seed in range(seeds)]
    each = f"[em.Search({problem}, {strategy}, seed=seed).run({limit}={most}) for seed in range({seeds})]"
    several = f"em.SeveralSeeds({problem}, {strategy}, seeds={seeds}).run({limit}={most})"
    return [[sys.executable, "-c", f"import evometa as em; {each if way == 'searches' else several}"]]


def seconds_of(way: str, name: str, seeds: int, most: int) -> float:
    """Return the seconds that one way takes, processes and compiling included."""
    with tempfile.TemporaryDirectory() as folder, alone():
        environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": f"{folder}/cache"}
        start = time.perf_counter()
        for words in command(way, name, seeds, most, folder):
            subprocess.run(words, check=True, env=environment, capture_output=True)
        return time.perf_counter() - start


def batched(driver: Any, seeds: int, most: int) -> Any:
    """Return what runs a batch of all seeds, generation by generation, by ``vmap``; nothing is recorded."""
    strategy = driver.strategy
    roots = jax.tree.map(lambda *keys: jnp.stack(keys), *map(root_keys, range(seeds)))
    start = jax.tree.map(
        lambda *leaves: jnp.stack(leaves), *(driver.with_seed(seed).initial() for seed in range(seeds))
    )

    @jax.jit
    def run(states: Any) -> Any:
        def one(carry: Any) -> Any:
            states, done, codes = carry
            keys = jax.vmap(lambda root: generation_keys(root, done))(roots.generations)
            new, *_ = jax.vmap(driver._generation, in_axes=(0, 0, None, 0))(states, keys, done, roots)
            going = codes == CONTINUE
            new = jax.tree.map(lambda a, b: jnp.where(going.reshape(-1, *[1] * (a.ndim - 1)), a, b), new, states)
            found = jax.vmap(functools.partial(stop_code, strategy), in_axes=(0, None))(new, -jnp.inf)
            return new, done + 1, jnp.where(going, found, codes)

        carry = (states, jnp.int32(1), jnp.full(seeds, CONTINUE))
        return jax.lax.while_loop(lambda carry: (carry[1] <= most) & (carry[2] == CONTINUE).any(), one, carry)

    return lambda: jax.block_until_ready(run(start))


def searching(name: str, seeds: int, most: int) -> list[Any]:
    """Return the row of a problem in the table of searching alone."""
    problem, strategy, _ = PROBLEMS[name]
    search = em.Search(eval(problem), eval(strategy), progress=False)
    drivers = search.running.drivers(max(seeds, len(jax.local_devices())))
    goal = -drivers[0].sign * np.inf  # never reached

    def in_turn() -> None:
        for seed in range(seeds):
            driver = drivers[0].with_seed(seed)
            state, done, code = driver.initial(), 0, CONTINUE
            while done < most and code == CONTINUE:
                state, rows, code = driver.advance(state, done + 1, most - done, goal)
                done += len(rows.failed)

    def at_once() -> None:
        lanes = [list(range(number, seeds, len(drivers))) for number in range(len(drivers))]
        under_way: list[Any] = [None] * len(drivers)
        while any(lanes) or any(under_way):
            for number, driver in enumerate(drivers):
                if under_way[number] is not None:
                    wait, done, own = under_way[number]
                    state, rows, code = wait()
                    done += len(rows.failed)
                    going = done < most and code == CONTINUE
                    under_way[number] = (own.launch(state, done + 1, most - done, goal), done, own) if going else None
                if under_way[number] is None and lanes[number]:
                    own = driver.with_seed(lanes[number].pop(0))
                    under_way[number] = own.launch(own.initial(), 1, most, goal), 0, own

    sides = {"in turn": in_turn, "at once": at_once, "batched": batched(drivers[0], seeds, most)}
    times = interleaved(sides, rounds=3, seconds=0.5)
    ratios = (times["in turn"] / times[side] for side in list(sides)[1:])
    return [name, *(f"{1000 * value:.0f}" for value in times.values()), *(f"{ratio:.2f}" for ratio in ratios)]


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", nargs="+", default=list(PROBLEMS), choices=PROBLEMS)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--generations", type=int, nargs=2, default=[1000, 100], help="of sphere and of xor")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parse_arguments(parser, "--problems sphere --ways SeveralSeeds --seeds 1 --generations 3 2 --rounds 1")
    most = dict(zip(PROBLEMS, arguments.generations, strict=True))
    rows = []
    for name in arguments.problems:
        times: dict[str, list[float]] = {way: [] for way in arguments.ways}
        for _ in range(arguments.rounds):
            for way in arguments.ways:
                times[way].append(seconds_of(way, name, arguments.seeds, most[name]))
                note(f"{name}, {way}: {times[way][-1]:.1f} s")
        middle = {way: statistics.median(found) for way, found in times.items()}
        ratios = (value / middle[arguments.ways[-1]] for value in list(middle.values())[:-1])
        rows.append([name, *(f"{value:.1f}" for value in middle.values()), *(f"{ratio:.2f}" for ratio in ratios)])
    *others, last = arguments.ways
    headers = [*(f"{way}, s" for way in arguments.ways), *(f"{way} / {last}" for way in others)]
    print_table(["problem", *headers], rows)
    sides = ["in turn, ms", "at once, ms", "vmap, ms", "in turn / at once", "in turn / vmap"]
    print_table(
        ["problem", *sides], [searching(name, arguments.seeds, max(1, most[name] // 4)) for name in arguments.problems]
    )


if __name__ == "__main__":
    main()
