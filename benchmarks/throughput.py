"""How fast populations are evaluated: inner training alone, in GFLOP/s, against simpler ways to do the same.

- engine: the package's evaluator, as a search lays it out (``population_chunk="auto"``, all cores).
- vmap: one compiled program with the whole population batched, on one device with all cores.
- loop: a Python loop over candidates of a compiled function that evaluates one (its tasks batched).
- numpy: batched matrix products with gradients by hand (sinusoid only).
- vmap of lax.conv: like vmap, with XLA's own convolution (conv net only).

"share" is relative to a float32 matrix product 2048³ on all cores, in the same run. Prints one Markdown table.

    python benchmarks/throughput.py
"""

import argparse
from collections.abc import Callable
from typing import Any

import evometa  # isort: skip  # asks JAX for one CPU device a core, before anything else starts its backend
import jax
import numpy as np
from _engine import layout, map_population
from _measure import MATMUL_FLOPS, interleaved, matmul, parse_arguments, print_table
from _workloads import ConvNet, DigitsMLP, sinusoid, sinusoid_flops
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from evometa.problems import Sinusoid
from evometa.problems.few_shot.sinusoid import Wave
from evometa.strategies import RandomSearch

Side = Callable[[], object]
CASES = ("sinusoid", "digits", "conv")


class Case:
    """One workload: a problem, its population, and the sides that evaluate it.

    Args:
        name: what to print.
        problem: the workload.
        population: P.
        flops: of evaluating one candidate.
        chunk: candidates in a chunk of the engine; None: as the engine plans.
    """

    def __init__(
        self, name: str, problem: evometa.InnerTraining, population: int, flops: float, chunk: int | None
    ) -> None:
        self.layout = layout(problem, RandomSearch(population_size=population), chunk)
        self.name, self.problem, self.flops = f"{name}, P={population}, chunk {self.layout.chunk}", problem, flops
        self.work = flops * population
        self.shared = jax.jit(self.layout.draw)(jax.random.key(0))
        self.genotypes = jax.jit(jax.vmap(problem.space.start))(jax.random.split(jax.random.key(1), population))

    def engine(self) -> Side:
        """Return the side of the package's evaluator."""
        one, chunk, devices = self.layout.one, self.layout.chunk, self.layout.devices

        def evaluate(shared: Any, genotypes: Any) -> Any:
            return map_population(one, shared, genotypes, chunk=chunk, devices=devices).fitness

        mesh = jax.make_mesh((len(devices),), ("all",), axis_types=(AxisType.Auto,), devices=devices)
        arguments = jax.device_put((self.shared, self.genotypes), NamedSharding(mesh, PartitionSpec()))
        compiled = jax.jit(evaluate).lower(*arguments).compile()
        return lambda: compiled(*arguments).block_until_ready()

    def vmap(self) -> Side:
        """Return the side of one program with the whole population batched."""
        program = jax.jit(jax.vmap(self.layout.one, in_axes=(None, 0)))
        return lambda: program(self.shared, self.genotypes).fitness.block_until_ready()

    def loop(self) -> Side:
        """Return the side of a Python loop over candidates."""
        program, members = jax.jit(self.layout.one), list(self.genotypes)
        return lambda: jax.block_until_ready([program(self.shared, member).fitness for member in members])


def numpy_sinusoid(case: Case) -> Side:
    """Return the numpy side of the sinusoid workload: candidates and tasks batched, gradients by hand."""
    problem = case.problem
    assert isinstance(problem, Sinusoid)
    omega = jax.device_get(jax.vmap(problem.space.decode)(case.genotypes))["weights"]
    tasks: Wave = jax.device_get(case.shared.tasks)
    amplitude, phase = tasks.amplitude[:, None, None], tasks.phase[:, None, None]
    layers = [(layer["kernel"][:, None], layer["bias"][:, None, None]) for _, layer in sorted(omega.items())]
    rate = np.float32(problem.learning_rate)

    def forward(weights: list[Any], x: Any) -> list[Any]:
        activations = [x]
        for i, (kernel, bias) in enumerate(weights):
            z = activations[-1] @ kernel + bias
            activations.append(np.maximum(z, 0) if i < len(weights) - 1 else z)
        return activations

    def evaluate() -> Any:
        weights, x = layers, tasks.support_x
        target = amplitude * np.sin(x - phase)
        for _ in range(problem.inner_steps):
            activations = forward(weights, x)
            delta = (activations[-1] - target) * np.float32(2 / problem.shots)
            updated = []
            for i in reversed(range(len(weights))):
                kernel, bias = weights[i]
                below = activations[i]
                gradient = np.swapaxes(below, -1, -2) @ delta
                updated.append((kernel - rate * gradient, bias - rate * delta.sum(-2, keepdims=True)))
                if i:
                    delta = (delta @ np.swapaxes(kernel, -1, -2)) * (below > 0)
            weights = updated[::-1]
        x = tasks.query_x
        return ((forward(weights, x)[-1] - amplitude * np.sin(x - phase)) ** 2).mean((-1, -2)).mean(-1)

    expected = jax.jit(jax.vmap(case.layout.one, in_axes=(None, 0)))(case.shared, case.genotypes).fitness
    np.testing.assert_allclose(evaluate(), expected, rtol=1e-3)  # both sides do the same work
    return evaluate


def main() -> None:
    """Measure all cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=9, help="turns of each side; the median is printed")
    parser.add_argument("--chunk", type=int, help="candidates in a chunk of the engine; default: as it plans")
    parser.add_argument("--seconds", type=float, default=0.2, help="of a turn, about")
    parser.add_argument("--population", type=int, help="candidates in every case; default: those of each case")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    arguments = parse_arguments(parser, "--rounds 1 --seconds 0 --population 2 --cases sinusoid")

    sin, mlp, net = sinusoid(), DigitsMLP(), ConvNet()
    flops, chunk, given = net.flops(), arguments.chunk, arguments.population
    every = {
        "sinusoid": lambda: Case("sinusoid MLP 1-40-40-1, T=16, S=5", sin, given or 256, sinusoid_flops(sin), chunk),
        "digits": lambda: Case("digits MLP 64-32-10, T=4, S=20", mlp, given or 64, mlp.flops(), chunk),
        "conv": lambda: Case("conv net 28×28, T=4, S=5", net, given or 64, flops, chunk),
    }
    rows: list[list[object]] = []
    for case in (every[name]() for name in arguments.cases):
        sides = {"engine": case.engine(), "vmap": case.vmap(), "loop": case.loop()}
        if case.problem is sin:
            sides["numpy"] = numpy_sinusoid(case)
        if case.problem is net:
            lax = Case(case.name, ConvNet(convolution="lax"), given or 64, flops, chunk)
            sides["vmap of lax.conv"] = lax.vmap()
        seconds = interleaved({**sides, "matmul": matmul()}, rounds=arguments.rounds, seconds=arguments.seconds)
        machine = MATMUL_FLOPS / seconds["matmul"]
        for name in sides:
            rate = case.work / seconds[name]
            ratio = seconds[name] / seconds["engine"]
            rows.append(
                [
                    case.name if name == "engine" else "",
                    name,
                    f"{rate / 1e9:.1f}",
                    f"{100 * rate / machine:.0f} %",
                    "" if name == "engine" else f"{ratio:.1f}",
                ]
            )
        rows.append(["", "matmul 2048³", f"{machine / 1e9:.0f}", "100 %", ""])
    print_table(["workload", "side", "GFLOP/s", "share", "engine is faster by"], rows)


if __name__ == "__main__":
    main()
