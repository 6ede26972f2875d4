"""Few-shot classification of Omniglot's characters: learned embeddings, and learned initialisations.

Searches are by evolution (OpenAI-ES) and by the gradient through inner training; their centre is evaluated on held-out
alphabets, and on the distributions that the problem calls shifted. Beside embeddings stand pixels and random weights.
Beside initialisations stand random weights, weights trained jointly on all episodes of training with no adaptation
(Finn et al.'s baseline), and weights trained on all characters of training at once to tell them apart; each is trained
in an episode by the same gradient descent, whose step sizes and number of steps are chosen for it on training episodes.

    python benchmarks/omniglot.py prototypes --data-directory FOLDER     # or EVOMETA_DATA=FOLDER
    python benchmarks/omniglot.py initialisation --shots 1 5
    python benchmarks/omniglot.py pictures
"""

import argparse
import dataclasses
import functools
import statistics
import time
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _measure import note, parse_arguments, print_table

import evometa as em
from evometa.inner_training import begin, train
from evometa.problems import OmniglotInitialisation, OmniglotPrototypes
from evometa.problems.few_shot.characters import Characters
from evometa.problems.few_shot.episodes import FewShot, flat
from evometa.problems.shared.networks import cross_entropy
from evometa.strategies import Gradient, OpenAIES

EPISODES = 600
EVOLUTION = OpenAIES(
    population_size=256,
    sigma=0.05,
    learning_rate=0.02,
    shaping="pair_difference",
    tasks_per_pair=True,
    learning_rate_final=0.1,
)
GRADIENT = Gradient(learning_rate=0.005, learning_rate_final=0.03)
NARROW = (16, 16, 16)
"""Channels of the networks that evolution searches, at twice the speed."""


def searched(problem: FewShot, strategy: str, seed: int, generations: int) -> tuple[Any, float]:
    """Return the centre of a search and the seconds it took of all cores together.

    Evolution gives each pair one episode of its own; the gradient takes several at once.
    """
    chosen: Any = GRADIENT
    if strategy == "evolution":
        problem, chosen = dataclasses.replace(problem, num_tasks=1, queries=1), EVOLUTION
    chosen = dataclasses.replace(chosen, decay_generations=generations)
    began = time.process_time()
    omega = em.Search(problem, chosen, seed=seed, validation_share=0.0).run(generations=generations).center_omega
    return omega, time.process_time() - began


@functools.partial(jax.jit, static_argnums=(0, 2, 3))
def on_episodes(problem: FewShot, omega: Any, where: str, episodes: int, seed: int = 2015) -> jax.Array:
    """Return the accuracy on each of some episodes of training, held-out, or the alphabets large enough."""

    def one(key: jax.Array) -> jax.Array:
        key_task, key_learner = jax.random.split(key)
        if where == "training":
            task = problem.sample_task(key_task)
        else:
            task = problem.episode(key_task, problem.parts[1] if where == "held-out" else large(problem))
        return problem.evaluate_task(key_learner, omega, task).metrics["accuracy"]

    return jax.lax.map(one, jax.random.split(jax.random.key(seed), episodes), batch_size=4)


def large(problem: FewShot) -> Characters:
    """Return the held-out characters of alphabets that have as many as an episode asks for."""
    part = problem.parts[1]
    sizes = np.bincount(part.alphabets)
    kept = [number for number, size in enumerate(sizes) if size >= problem.ways]
    chosen = np.isin(part.alphabets, kept)
    order = np.searchsorted(kept, part.alphabets[chosen]).astype(np.int32)
    return Characters(part.images[chosen], order, tuple(part.names[number] for number in kept))


def places(problem: FewShot, count: int) -> dict[str, tuple[FewShot, str]]:
    """Return where ω is evaluated, the first so many places: name -> problem, and which part of it."""
    own: dict[str, tuple[FewShot, str]] = {place: (problem, place) for place in ("training", "held-out")}
    if len(large(problem).names) < len(problem.parts[1].names):
        own["without Tagalog"] = (problem, "large")
    every = own | {name: (other, "held-out") for name, other in problem.shifted().items()}
    return dict(list(every.items())[:count])


def spread(values: Iterable[float]) -> str:
    """Return percent, with the smallest and the largest in brackets."""
    found = [100 * value for value in values]
    return f"{statistics.mean(found):.1f}" + (f" ({min(found):.1f} to {max(found):.1f})" if len(found) > 1 else "")


def show(what: str, where: Iterable[str], found: Mapping[str, list[dict[str, float]]]) -> None:
    """Print a table of all that was found."""
    rows = []
    for name, each in found.items():
        seconds = statistics.mean(one.get("seconds", 0) for one in each)
        cells = (spread(one[place] for one in each) if place in each[0] else "" for place in where)
        rows.append([name, f"{seconds:.0f}" if seconds else "", *cells])
    print_table([what, "CPU seconds", *where], rows)


# Embeddings


class Flat:
    """What turns images into their pixels."""

    def run(self, weights: Any, images: jax.Array) -> jax.Array:
        """Return the pixels."""
        return images.reshape(len(images), -1)


@dataclasses.dataclass(frozen=True)
class Pixels(OmniglotPrototypes):
    """Prototypes that are mean images."""

    @property
    def network(self) -> Any:
        """No network."""
        return Flat()


def prototypes(arguments: argparse.Namespace) -> None:
    """Print errors of embeddings."""
    problem = OmniglotPrototypes(characters=arguments.characters, data_directory=arguments.data_directory)
    found: dict[str, list[dict[str, float]]] = {}

    def add(name: str, problem: FewShot, omega: Any, seconds: float = 0) -> None:
        there = places(problem, arguments.places).items()
        each = {place: on_episodes(p, omega, part, arguments.episodes) for place, (p, part) in there}
        errors = {place: 1 - float(jnp.mean(accuracies)) for place, accuracies in each.items()}
        found.setdefault(name, []).append(errors | {"seconds": seconds})
        note(f"{name}: {found[name][-1]}")

    pixels = Pixels(characters=arguments.characters, data_directory=arguments.data_directory)
    add("pixels", pixels, ())
    for seed in arguments.seeds:
        add("random weights", problem, problem.network.draw(jax.random.key(seed)))
        for strategy, generations in arguments.generations.items():
            used = dataclasses.replace(problem, channels=NARROW) if strategy == "evolution" else problem
            omega, seconds = searched(used, strategy, seed, generations)
            add(f"{strategy}, {generations:,} generations", used, omega, seconds)
    print("\nError in percent, 20-way 1-shot within alphabets, and elsewhere\n")
    show("embedding", places(problem, arguments.places), found)


# Initialisations

RATES = (1.0, 3.0, 10.0, 30.0)
RATIOS = (0.0, 0.01, 0.1, 1.0)
STEPS = (1, 3, 10, 30, 100)


def with_rates(problem: OmniglotInitialisation, convolutions: Any, rate: Any, ratio: Any) -> Any:
    """Return the ω of given convolutions, with one step size for the output layer and a part of it for the others."""
    log_rates = problem.space.decode(jnp.zeros(problem.space.size))["log_rates"]
    sizes = {
        "convolutions": jnp.log(rate * ratio / problem.learning_rate),  # minus infinity where they are not trained
        "output": jnp.log(rate / problem.output_learning_rate),
    }
    rates = {part: jax.tree.map(lambda _, v=v: v, log_rates[part]) for part, v in sizes.items()}
    return {"convolutions": convolutions, "log_rates": rates}


@functools.partial(jax.jit, static_argnums=(0, 4, 5))
def adapted(
    problem: OmniglotInitialisation, convolutions: Any, rate: jax.Array, ratio: jax.Array, tuning: bool, episodes: int
) -> Any:
    """Return the accuracy after each of STEPS with each pair of step sizes, ``[pairs, STEPS]``, in training or not."""

    def one(key: jax.Array) -> jax.Array:
        key_task, key_learner = jax.random.split(key)
        task = (problem.sample_task if tuning else problem.sample_test_task)(key_task)

        def by_rates(rate: jax.Array, ratio: jax.Array) -> jax.Array:
            omega, done, found = with_rates(problem, convolutions, rate, ratio), 0, []
            learner = begin(problem, key_learner, omega, task)
            for steps in STEPS:
                learner = train(problem, key_learner, omega, task, learner, done, steps - done)
                done = steps
                found.append(problem.metrics(key_learner, omega, task, learner)["accuracy"])
            return jnp.stack(found)

        return jax.vmap(by_rates)(rate, ratio)

    keys = jax.random.split(jax.random.key(1 if tuning else 2015), episodes)
    return jnp.mean(jax.lax.map(one, keys), axis=0)


TUNING_EPISODES = 100
STEPS_OF_PRETRAINING = 3000


def tuned(problem: OmniglotInitialisation, convolutions: Any, episodes: int) -> tuple[float, str]:
    """Return the accuracy on held-out episodes with the step sizes and number of steps that are best in training."""
    rate, ratio = (jnp.asarray(each, jnp.float32).ravel() for each in np.meshgrid(RATES, RATIOS))
    found = np.asarray(adapted(problem, convolutions, rate, ratio, True, min(TUNING_EPISODES, episodes)))
    pair, steps = np.unravel_index(np.argmax(found), found.shape)
    held_out = adapted(problem, convolutions, rate[pair][None], ratio[pair][None], False, episodes)[0, steps]
    return float(held_out), f"rate {rate[pair]:.3g}, ratio {ratio[pair]:g}, {STEPS[steps]} steps"


def pretrained(problem: OmniglotInitialisation, key: jax.Array) -> Any:
    """Return convolutions trained to tell all characters of training apart, each turned by quarters as four classes."""
    images = problem.parts[0].images
    images = np.concatenate([np.rot90(images, quarters, (2, 3)) for quarters in range(4)])
    classes, drawers = images.shape[:2]

    def draw(key: jax.Array) -> Any:
        keys = jax.random.split(key)
        number, drawer = (jax.random.randint(k, (64,), 0, n) for k, n in zip(keys, (classes, drawers), strict=True))
        return jnp.asarray(images)[number, drawer].astype(jnp.float32) / 255, jax.nn.one_hot(number, classes)

    return fitted(problem, key, "pretraining", classes, draw)


def jointly_pretrained(problem: OmniglotInitialisation, key: jax.Array) -> Any:
    """Return convolutions trained on all episodes of training as if they were one task, with no adaptation.

    The order of an episode's classes is random, so there is no network that does well on all of them at once.
    """

    def draw(key: jax.Array) -> Any:
        support, query = problem.sample_task(key)
        images = jnp.concatenate([flat(support), flat(query)])
        return images, jnp.concatenate([problem.targets(problem.shots), problem.targets(problem.queries)])

    return fitted(problem, key, "joint pretraining", problem.ways, draw)


def fitted(problem: OmniglotInitialisation, key: jax.Array, name: str, classes: int, draw: Any) -> Any:
    """Return convolutions that are trained by Adam, with an output layer, on drawn images and one-hot labels."""
    optimizer = optax.adam(optax.exponential_decay(0.003, STEPS_OF_PRETRAINING, 0.03))

    def error(weights: Any, images: jax.Array, labels: jax.Array) -> jax.Array:
        features = problem.network.run(weights["convolutions"], images)
        return cross_entropy(features @ weights["output"]["kernel"] + weights["output"]["bias"], labels)

    def one(carry: Any, key: jax.Array) -> Any:
        weights, state = carry
        loss, gradient = jax.value_and_grad(error)(weights, *draw(key))
        updates, state = optimizer.update(gradient, state)
        return (optax.apply_updates(weights, updates), state), loss

    key_draw, key_steps = jax.random.split(key)
    features = problem.network.features
    output = {"kernel": jnp.zeros((features, classes), jnp.float32), "bias": jnp.zeros(classes, jnp.float32)}
    weights = {"convolutions": problem.network.draw(key_draw), "output": output}
    (weights, _), losses = jax.jit(lambda c: jax.lax.scan(one, c, jax.random.split(key_steps, STEPS_OF_PRETRAINING)))(
        (weights, optimizer.init(weights))
    )
    note(f"{name}: cross-entropy {float(jnp.mean(losses[-100:])):.3f}")
    return weights["convolutions"]


def initialisation(arguments: argparse.Namespace) -> None:
    """Print accuracies of initialisations."""
    for shots in arguments.shots:
        problem = OmniglotInitialisation(
            characters=arguments.characters, data_directory=arguments.data_directory, shots=shots
        )
        where = places(problem, arguments.places)
        found: dict[str, list[dict[str, float]]] = {}
        for seed in arguments.seeds:
            starts: dict[str, Any] = {"random weights": problem.network.draw}
            starts["pretrained on episodes"] = functools.partial(jointly_pretrained, problem)
            starts["pretrained on all characters"] = functools.partial(pretrained, problem)
            for name, start in starts.items() if arguments.baselines else ():
                accuracy, how = tuned(problem, start(jax.random.key(seed)), arguments.episodes)
                note(f"{name}, seed {seed}: {accuracy:.3f} with {how}")
                found.setdefault(name, []).append({"held-out": accuracy})
            for strategy, generations in arguments.generations.items():
                omega, seconds = searched(problem, strategy, seed, generations)
                each = {place: on_episodes(p, omega, part, arguments.episodes) for place, (p, part) in where.items()}
                accuracies = {place: float(jnp.mean(one)) for place, one in each.items()}
                note(f"{strategy}, seed {seed}: {accuracies}")
                found.setdefault(f"{strategy}, {generations:,} generations", []).append(
                    accuracies | {"seconds": seconds}
                )
        print(f"\nAccuracy in percent, 5-way {shots}-shot within alphabets, and elsewhere\n")
        show("start", where, found)


# Pictures


def pictures(arguments: argparse.Namespace) -> None:
    """Draw a held-out episode as a found embedding classifies it."""
    problem = OmniglotPrototypes(characters=arguments.characters, data_directory=arguments.data_directory)
    omega, _ = searched(problem, "gradient", 0, arguments.gradient)
    task = jax.jit(problem.sample_test_task)(jax.random.key(4))
    learner = problem.init(jax.random.key(0), omega, task)
    found = jnp.argmax(problem.classify(omega, learner, flat(task.query)), axis=1)
    picture = em.plots.episode(task.support, task.query, found.reshape(problem.ways, problem.queries))
    picture.savefig(arguments.picture)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=("prototypes", "initialisation", "pictures"))
    parser.add_argument("--data-directory", help="the folder with Omniglot's files; else EVOMETA_DATA names it")
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 5], help="for initialisations")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--evolution", type=int, default=2000, help="generations of a search by evolution; 0: none")
    parser.add_argument("--gradient", type=int, default=2000, help="generations of a search by the gradient; 0: none")
    parser.add_argument("--no-baselines", dest="baselines", action="store_false", help="searches alone")
    parser.add_argument("--picture", default="episode.png", help="where to draw")
    parser.add_argument("--characters", choices=("omniglot", "glyphs"), default="omniglot", help="glyphs are made up")
    parser.add_argument("--episodes", type=int, default=EPISODES, help="that accuracies are means over")
    parser.add_argument("--places", type=int, default=10, help="where ω is evaluated: the first so many")
    small = "prototypes --characters glyphs --episodes 2 --places 2 --seeds 0 --gradient 0 --evolution 0"
    arguments = parse_arguments(parser, small)
    generations = {"gradient": arguments.gradient, "evolution": arguments.evolution}
    arguments.generations = {strategy: number for strategy, number in generations.items() if number > 0}
    {"prototypes": prototypes, "initialisation": initialisation, "pictures": pictures}[arguments.which](arguments)


if __name__ == "__main__":
    main()
