"""Memory of a device where its share of the state is a slice, beside the whole state on every device.

Searches of D numbers by strategies that regenerate their noise, on 1, 2 and 4 CPU devices, each in its own process. The
fitness is a sum of squares. The whole state is what evometa does with shorter vectors; that side is made by raising
the length from which on vectors are split. Columns, in vectors of D float32:

- state: what a device keeps from one dispatch to the next, of the program's arguments;
- temporaries: of the compiled program, as XLA plans them;
- together: arguments, results and temporaries, the most that a device needs at once;
- resident: the peak of the process once all is compiled, over that of JAX and the problem, all devices together. It
  holds what the problem's bounds take on the host, too.

    python benchmarks/sharded_state.py
"""

import argparse
import ctypes
import dataclasses
import gc
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from _measure import alone, note, parse_arguments, print_table

NAMES = ("OpenAIES", "SepCMAES", "PGPE")


def measure(
    name: str, dimension: int, population: int, devices: int, *, split: bool, generations: int
) -> dict[str, Any]:
    """Search for a few generations; runs in a process of its own, with as many devices."""
    import jax.numpy as jnp

    import evometa as em
    from evometa.backend import slices

    @dataclasses.dataclass(frozen=True)
    class Squares(em.Problem):
        """The squared length of ω - 1."""

        @property
        def space(self) -> em.Space:
            return em.Box((dimension,))

        def evaluate(self, key: Any, omega: Any) -> Any:
            return jnp.sum((omega - 1.0) ** 2)

    if not split:
        slices.LEAST_LENGTH = 2**62
    strategy = getattr(em.strategies, name)(population, regenerate_noise=True)
    settings: dict[str, Any] = {"finalists": 0, "validation_share": 0, "progress": False}
    search = em.Search(Squares(), strategy, devices=devices, population_chunk=1, **settings)
    before = _resident("VmRSS")
    search.run(generations=1)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # gives back what compiling has freed
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here on
    begun = time.perf_counter()
    search.run(generations=1 + generations)
    planned = search.running.driver._dispatch.memory_analysis()
    vector = 4 * dimension
    state = planned.argument_size_in_bytes
    return {
        "state": state / vector,
        "temporaries": planned.temp_size_in_bytes / vector,
        "together": (state + planned.output_size_in_bytes + planned.temp_size_in_bytes) / vector,
        "resident": (_resident("VmHWM") - before) / vector,
        "seconds": (time.perf_counter() - begun) / generations,
        "best": float(search.history["best"][-1]),
    }


def _resident(name: str) -> int:
    """Return a figure of this process's memory in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dimension", type=int, default=10_000_000, metavar="D")
    parser.add_argument("--population", type=int, default=16, metavar="P")
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--strategies", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--generations", type=int, default=1)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    small = "--dimension 262144 --population 2 --devices 2 --strategies PGPE --generations 1"
    arguments = parse_arguments(parser, small)
    if arguments.measure is not None:
        print(json.dumps(measure(**json.loads(arguments.measure))))
        return
    rows: list[list[object]] = []
    with alone():
        for name in arguments.strategies:
            for devices in arguments.devices:
                case = {
                    "name": name,
                    "dimension": arguments.dimension,
                    "population": arguments.population,
                    "devices": devices,
                    "generations": arguments.generations,
                }
                row: list[object] = [name, f"{devices}"]
                for split in (False, True):
                    command = [sys.executable, __file__, "--measure", json.dumps(case | {"split": split})]
                    environment = os.environ | {"EVOMETA_CPU_DEVICES": str(devices)}
                    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
                    found = json.loads(done.stdout.splitlines()[-1])
                    note(f"{name}, {devices} devices, {'slices' if split else 'whole'}: {found}")
                    row += [f"{found[column]:.1f}" for column in ("state", "temporaries", "together", "resident")]
                    row += [f"{found['seconds']:.1f}"]
                rows.append(row)
    columns = ("state", "temporaries", "together", "resident", "s a generation")
    header = [f"D = {arguments.dimension:,}, P = {arguments.population}", "devices"]
    header += [f"{side}: {column}" for side in ("whole", "slices") for column in columns]
    print_table(header, rows)


if __name__ == "__main__":
    main()
