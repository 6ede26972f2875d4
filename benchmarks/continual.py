"""Continual learning: representations found by evolution and by the gradient, beside pretraining.

Each seed is one search of limited time; its center is evaluated on held-out streams. What pretraining gives (a network
fitted to training data without streams, for as long) and random weights are trained online with the step size, and the
layers, that are best on training streams.

Sine waves: squared error on all functions so far after each function of the stream. Characters: accuracy on all classes
of a stream, on streams as long as those of the search and on one of all held-out characters.

    python benchmarks/continual.py                        # both, 3 seeds
    python benchmarks/continual.py omniglot --seconds 240
"""

import argparse
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _engine import draw_trials
from _measure import Kept, alone, mean_and_error, note, parse_arguments, print_table

import evometa as em
from evometa.problem import InnerTraining
from evometa.problems import IncrementalOmniglot, IncrementalSinusoids
from evometa.problems.continual.forgetting import so_far
from evometa.problems.continual.incremental_sinusoids import Examples, Online, Waves, WaveStream
from evometa.problems.shared.networks import MLP, cross_entropy, squared_error
from evometa.strategies import Averaged, Gradient, OpenAIES

RATES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)


def searched(
    problem: InnerTraining, strategy: str, seed: int, arguments: argparse.Namespace, initial: Sequence[Any] = ()
) -> Any:
    """Return the center of a search; evolution gives each pair of candidates a stream of its own."""
    chosen: Any = Gradient(learning_rate=0.003 if isinstance(problem, IncrementalOmniglot) else 0.006)
    if strategy == "evolution":
        problem = dataclasses.replace(problem, num_tasks=1)
        chosen = OpenAIES(
            arguments.population, sigma=0.05, learning_rate=0.02, shaping="pair_difference", tasks_per_pair=True
        )
    with alone():
        search = em.Search(
            problem, Averaged(chosen, generations=50), seed=seed, validation_share=0.0, initial=list(initial)
        )
        result = search.run(seconds=arguments.seconds)
    note(f"{type(problem).__name__}, {strategy}, seed {seed}: {result.generations} generations")
    return result.center_omega


@dataclasses.dataclass(frozen=True)
class AllLayers(IncrementalSinusoids):
    """Online learning of all layers."""

    def init(self, key: Any, omega: Any, task: WaveStream) -> Online:
        """Start at all of ω."""
        return Online(omega, jnp.int32(0))

    def step(self, key: Any, omega: Any, task: WaveStream, learner: Online) -> Online:
        """Take a step of SGD on the next batch."""
        batch = jax.tree.map(lambda leaf: leaf[learner.steps], task.stream)

        def error(weights: Any) -> jax.Array:
            return squared_error(MLP((1,)).run(weights["head"], self.features(weights, batch.inputs)), batch.labels)

        weights = jax.tree.map(lambda w, g: w - self.learning_rate * g, learner.head, jax.grad(error)(learner.head))
        return Online(weights, learner.steps + 1)

    def errors(self, omega: Any, task: WaveStream, learner: Online) -> jax.Array:
        """Return the error on each function."""
        return super().errors(learner.head, task, Online(learner.head["head"], learner.steps))


@dataclasses.dataclass(frozen=True)
class Pretraining(IncrementalSinusoids):
    """Fit one network to as many training functions as there are identities, each with its own, all at once."""

    inner_steps: int = 0

    def draw(self, key: Any, part: Waves, batch_size: int) -> WaveStream:
        """Draw examples of some functions."""
        key_functions, key_x = jax.random.split(key)
        chosen = jax.random.permutation(key_functions, 50)[: self.functions]
        x = jax.random.uniform(key_x, (self.functions, self.queries, 1), jnp.float32, -5, 5)
        names = jnp.broadcast_to(jax.nn.one_hot(chosen, 50)[:, None], (self.functions, self.queries, 50))
        amplitude, phase = (jnp.asarray(each)[chosen, None, None] for each in part)
        examples = Examples(jnp.concatenate([x, names], axis=2), amplitude * jnp.sin(x + phase))
        return WaveStream(examples, examples)


@functools.partial(jax.jit, static_argnums=0)
def forgetting(problem: IncrementalSinusoids | IncrementalOmniglot, omega: Any, trials: Any) -> jax.Array:
    """Return the error, or accuracy, on each part after each part of each stream, ``[N, K, K]``."""
    return jax.lax.map(lambda trial: problem.forgetting(trial[0], omega, trial[1]), (trials.keys, trials.tasks))


def curve(problem: IncrementalSinusoids | IncrementalOmniglot, omega: Any, trials: Any) -> list[float]:
    """Return the mean over streams of the error, or accuracy, on the parts so far, ``[K]``."""
    return [float(each) for each in so_far(np.asarray(forgetting(problem, omega, trials))).mean(axis=0)]


def every_seed(
    stream: str, learners: Mapping[str, Callable[[int], Any]], arguments: argparse.Namespace
) -> dict[str, list[Any]]:
    """Return what each learner that is asked for has, for every seed; what is kept is not measured again."""
    kept = Kept(arguments.keep)
    return {
        name: [
            kept.get_or(f"{stream}, {name}, {seed}", functools.partial(measure, seed))
            for seed in range(arguments.seeds)
        ]
        for name, measure in learners.items()
        if not arguments.only or name in arguments.only
    }


def best_online(omega: Any, tuning: Any) -> IncrementalSinusoids:
    """Return how a network is best trained online, of training streams: which layers, at which rate."""
    ways = [kind(learning_rate=rate) for kind in (IncrementalSinusoids, AllLayers) for rate in RATES]
    best = min(ways, key=lambda way: np.nan_to_num(curve(way, omega, tuning)[-1], nan=np.inf))
    note(f"trained online at rate {best.learning_rate:g}, {type(best).__name__}")
    return best


def sinusoids(arguments: argparse.Namespace) -> None:
    """Print the error after some functions of a stream."""
    problem = IncrementalSinusoids()
    held_out = draw_trials(problem, 2019, arguments.streams, test=True)
    tuning = draw_trials(dataclasses.replace(problem, batch_size=problem.test_batch_size), 1, 20, test=False)

    def online(omega: Any) -> list[float]:
        return curve(best_online(omega, tuning), omega, held_out)

    learners: dict[str, Callable[[int], list[float]]] = {
        "from scratch": lambda seed: online(problem.space.decode(problem.space.start(jax.random.key(seed)))),
        "pretraining": lambda seed: online(searched(Pretraining(), "gradient", seed, arguments)),
        "evolution": lambda seed: curve(problem, searched(problem, "evolution", seed, arguments), held_out),
        "gradient": lambda seed: curve(problem, searched(problem, "gradient", seed, arguments), held_out),
    }
    shown, rows = (1, 2, 5, 10), []
    for name, runs in every_seed("sinusoids", learners, arguments).items():
        rows.append([name, *(mean_and_error([run[k - 1] for run in runs], 2) for k in shown)])
    print(f"\nSquared error on all functions so far, {arguments.streams} streams, {arguments.seconds:g} s a search\n")
    print_table(["learner", *(f"after {k}" for k in shown)], rows)


IMAGES, QUERIES = 15, 5
"""Drawings of each character in the longest stream, and those to classify, as in the paper."""
LOG_RATES, LOG_RESTRAINTS = (np.log(np.float32(each)) for each in ((0.0003, 0.003, 0.03, 0.3, 1.0, 3.0), (20.0, 1.0)))
"""What the rule's two numbers are multiplied by; the best of these is chosen on training streams."""


@functools.cache
def pretrained(problem: IncrementalOmniglot, seed: int, steps: int) -> Any:
    """Return a network fitted to tell all training characters apart, each turned by quarters as four classes."""
    drawn = problem.parts[0].images
    images = np.concatenate([np.rot90(drawn, quarters, (2, 3)) for quarters in range(4)])
    classes, drawers = images.shape[:2]
    optimizer = optax.adam(optax.exponential_decay(0.003, steps, 0.03))

    def error(weights: Any, key: jax.Array) -> jax.Array:
        number, drawer = (
            jax.random.randint(k, (64,), 0, n) for k, n in zip(jax.random.split(key), (classes, drawers), strict=True)
        )
        features = problem.features(weights, jnp.asarray(images)[number, drawer].astype(jnp.float32) / 255)
        return cross_entropy(features @ weights["kernel"], jax.nn.one_hot(number, classes))

    def step(carry: Any, key: jax.Array) -> Any:
        weights, state = carry
        updates, state = optimizer.update(jax.grad(error)(weights, key), state)
        return (optax.apply_updates(weights, updates), state), None

    key_draw, key_steps = jax.random.split(jax.random.key(seed))
    weights = {"network": problem.network.draw(key_draw), "kernel": jnp.zeros((problem.network.features, classes))}
    keys = jax.random.split(key_steps, steps)
    (weights, _), _ = jax.jit(lambda start: jax.lax.scan(step, start, keys))((weights, optimizer.init(weights)))
    return {"network": weights["network"], "log_rate": np.float32(0), "log_restraint": np.float32(0)}


def omniglot(arguments: argparse.Namespace) -> None:
    """Print the accuracies on streams of characters; searches begin after a third of the steps of pretraining."""
    problem = IncrementalOmniglot(characters=arguments.characters, data_directory=arguments.data_directory)
    every = arguments.classes or len(problem.parts[1].images)
    long = dataclasses.replace(problem, classes=every, inner_steps=IMAGES * every, queries=QUERIES)
    places = {problem: arguments.streams, long: max(arguments.streams // 5, 2)}
    trials = {
        place: [draw_trials(place, 2021, count, test=test) for test in (False, True)] for place, count in places.items()
    }

    def tuned(omega: Any) -> list[list[float]]:
        curves = []
        for place, (tuning, held_out) in trials.items():
            rules = [
                omega | {"log_rate": omega["log_rate"] + rate, "log_restraint": omega["log_restraint"] + restraint}
                for rate, restraint in itertools.product(LOG_RATES, LOG_RESTRAINTS)
            ]
            best = max(rules, key=lambda rule: curve(place, rule, tuning)[-1])
            note(f"{place.classes} classes: {np.exp(best['log_rate']):.3g}, {np.exp(best['log_restraint']):.3g}")
            curves.append(curve(place, best, held_out))
        return curves

    def found(strategy: str, seed: int) -> list[list[float]]:
        start = pretrained(problem, seed, arguments.pretraining // 3)
        return tuned(searched(problem, strategy, seed, arguments, [start]))

    learners: dict[str, Callable[[int], Any]] = {
        "random weights": lambda seed: tuned(problem.space.decode(problem.space.start(jax.random.key(seed)))),
        "pretraining": lambda seed: tuned(pretrained(problem, seed, arguments.pretraining)),
        "evolution": functools.partial(found, "evolution"),
        "gradient": functools.partial(found, "gradient"),
    }
    shown = [[math.ceil(tenth * place.classes / 10) for tenth in (1, 2, 5, 10)] for place in places]
    rows = []
    for name, runs in every_seed("omniglot", learners, arguments).items():
        cells = ([100 * run[place][k - 1] for run in runs] for place in range(2) for k in shown[place])
        rows.append([name, *(mean_and_error(cell, 1) for cell in cells)])
    print(
        f"\nAccuracy in percent on all classes so far, streams of {problem.classes} and of {every} held-out characters "
        f"({arguments.characters}), {arguments.seconds:g} s a search\n"
    )
    print_table(["learner", *(f"after {k}" for ks in shown for k in ks)], rows)


PROBLEMS = {"sinusoids": sinusoids, "omniglot": omniglot}


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="*", choices=[*PROBLEMS, []], help="some of them; all by default")
    parser.add_argument("--seconds", type=float, default=120, help="of one search")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--streams", type=int, default=50, help="held-out streams; a fifth of the longest ones")
    parser.add_argument("--population", type=int, default=128)
    parser.add_argument("--pretraining", type=int, default=3000, help="steps of pretraining on characters")
    parser.add_argument("--classes", type=int, help="characters of the longest stream; all held-out ones by default")
    parser.add_argument("--only", nargs="+", help="the learners of these rows alone")
    parser.add_argument("--keep", type=Path, help="a file to keep curves in; what is there is not measured again")
    parser.add_argument("--characters", choices=("omniglot", "glyphs"), default="omniglot")
    parser.add_argument("--data-directory", help="the folder with Omniglot's files; else EVOMETA_DATA names it")
    small = (
        "omniglot --characters glyphs --classes 4 --only gradient --seconds 0.1 --seeds 1 --streams 2 --pretraining 3"
    )
    arguments = parse_arguments(parser, small)
    for name in arguments.which or PROBLEMS:
        PROBLEMS[name](arguments)


if __name__ == "__main__":
    main()
