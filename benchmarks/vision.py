"""Few-shot vision: embeddings found by evolution and by the gradient, beside what needs no meta-learning.

Each seed is one search of limited time; its center is evaluated on held-out tasks. What the others have to choose
(random draws of the network, sizes of templates) is chosen on training tasks.

Segmentation: a network that is trained on all tasks without examples, and prototypes of the same network with random
weights, the best of some draws.

Landmarks: the mean position of the marked points (in the image, or from the centre of the ink), and matching templates
cut out around them (size, rotated copies, and how far from the mean position it looks); prototypes of random weights.

Detection: matching the pixels of the example (blur), and of turned and scaled copies of it; random weights.

    python benchmarks/vision.py                      # all, 3 seeds
    python benchmarks/vision.py landmarks --seconds 240
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
from _engine import draw_trials
from _measure import Kept, alone, note, parse_arguments, print_table, standard_error
from jax.scipy.ndimage import map_coordinates

import evometa as em
from evometa.problem import InnerTraining
from evometa.problems import FewShotDetection, FewShotSegmentation, LandmarkPrediction
from evometa.problems.few_shot.characters import SIZE
from evometa.problems.vision.canvases import warped
from evometa.problems.vision.few_shot_detection import MARGIN
from evometa.problems.vision.landmark_prediction import Views, centres
from evometa.strategies import Averaged, Gradient, OpenAIES

GRADIENT: Any = Gradient(learning_rate=0.003)
EVOLUTION: Any = OpenAIES(sigma=0.05, learning_rate=0.02, shaping="pair_difference", tasks_per_pair=True)
METRICS = {FewShotSegmentation: "iou", LandmarkPrediction: "median_error", FewShotDetection: "average_precision"}
Scores = dict[str, Any]
"""Where -> the metric; and under "how" what was chosen on training tasks."""


@functools.partial(jax.jit, static_argnums=0)
def measured(problem: InnerTraining, omega: Any, trials: Any) -> jax.Array:
    """Return the metric of one ω on each trial, ``[N]``; of landmarks each query's error, ``[N, queries]``."""

    def one(trial: Any) -> jax.Array:
        key, task = trial
        if isinstance(problem, LandmarkPrediction):
            return problem.errors(omega, task, problem.init(key, omega, task))
        name = next(name for kind, name in METRICS.items() if isinstance(problem, kind))
        return problem.evaluate_task(key, omega, task).metrics[name]

    return jax.lax.map(one, (trials.keys, trials.tasks), batch_size=8)


def average(values: Any) -> float:
    """Return the mean of a share in percent, ``[N]``; of errors ``[N, queries]`` the median."""
    return float(np.median(values) if np.ndim(values) == 2 else 100 * np.mean(values))


class Contest:
    """One problem: where it is measured, what is chosen on training tasks, and the scores so far.

    Args:
        problem: the problem.
        arguments: of the command line.
    """

    def __init__(self, problem: InnerTraining, arguments: argparse.Namespace) -> None:
        self.problem, self.arguments, self.kept = problem, arguments, Kept(arguments.keep)
        self.rows: dict[str, list[Scores]] = {}
        every: dict[str, InnerTraining] = {"held-out": problem, **problem.shifted()}
        self.places = dict(list(every.items())[: arguments.places])
        self.held_out = {
            name: draw_trials(place, 2020, arguments.tasks, test=True) for name, place in self.places.items()
        }
        self.tuning = draw_trials(problem, 1, max(arguments.tasks // 5, 2), test=False)

    def add(self, name: str, measure: Callable[[], Scores], seed: int | None = None) -> None:
        """Measure something, or take what is kept of it, unless only others are asked for."""
        if self.arguments.only and name not in self.arguments.only:
            return
        label = f"{type(self.problem).__name__}: {name}" + ("" if seed is None else f", seed {seed}")
        self.rows.setdefault(name, []).append(self.kept.get_or(label, measure))

    def scores(self, omega: Any, problem: InnerTraining | None = None) -> Scores:
        """Return the scores of one ω of a problem in all places."""
        others = self.places if problem is None else {"held-out": problem, **problem.shifted()}
        return {name: average(measured(others[name], omega, self.held_out[name])) for name in self.places}

    def searched(self, strategy: str, seed: int, problem: InnerTraining | None = None) -> Scores:
        """Return the scores of the center of a search; evolution gives each pair of candidates a task of its own."""
        searched, chosen = problem or self.problem, GRADIENT
        if strategy == "evolution":
            searched = dataclasses.replace(searched, num_tasks=1)
            chosen = dataclasses.replace(EVOLUTION, population_size=self.arguments.population)
        with alone():
            search = em.Search(searched, Averaged(chosen, generations=50), seed=seed, validation_share=0.0)
            result = search.run(seconds=self.arguments.seconds)
        note(f"{result.generations} generations of {strategy}")
        return self.scores(result.center_omega, problem)

    def best_draw(self, seed: int) -> Scores:
        """Return the scores of those random weights that are best on training tasks."""
        best = min if isinstance(self.problem, LandmarkPrediction) else max
        starts = jax.random.split(jax.random.key(seed), self.arguments.draws)
        omegas = [self.problem.space.decode(self.problem.space.start(key)) for key in starts]
        return self.scores(best(omegas, key=lambda omega: average(measured(self.problem, omega, self.tuning))))

    def run(self, others: Mapping[str, Callable[[int], Scores]]) -> None:
        """Measure random weights, both strategies and others of each seed, and print the table."""
        for seed in range(self.arguments.seeds):
            self.add("random weights, best draw", functools.partial(self.best_draw, seed), seed)
            for name, measure in others.items():
                self.add(name, functools.partial(measure, seed), seed)
            for strategy in ("evolution", "gradient"):
                self.add(strategy, functools.partial(self.searched, strategy, seed), seed)
        cells = []
        for name, scores in self.rows.items():
            row = [[score[place] for score in scores] for place in self.places]
            cells.append([f"{name} {scores[0].get('how', '')}".strip(), *map(spread, row)])
        print(f"{self.arguments.tasks} tasks, {self.arguments.seconds:g} s a search, {self.arguments.seeds} seeds\n")
        print_table(["learner", *self.places], cells)


def spread(values: Sequence[float]) -> str:
    """Return the mean over seeds and its standard error."""
    return f"{np.mean(values):.3g}" + (f" ± {standard_error(values):.2g}" if len(values) > 1 else "")


# Segmentation


@dataclasses.dataclass(frozen=True)
class WithoutExamples(FewShotSegmentation):
    """The same network with prototypes that are learned for all tasks together, and see nothing of a task."""

    @property
    def space(self) -> em.Dict:
        """Weights of the network, and prototypes."""
        prototypes = np.random.default_rng(0).normal(size=(2, self.channels[-1])).astype(np.float32)
        return em.Dict({"network": em.Like(self.network.draw), "prototypes": em.Like(prototypes)})

    def init(self, key: Any, omega: Any, task: Any) -> jax.Array:
        """Return the prototypes of all tasks."""
        return jnp.asarray(omega["prototypes"])

    def segment(self, omega: Any, learner: jax.Array, images: jax.Array) -> jax.Array:
        """Segment by the network."""
        return super().segment(omega["network"], learner, images)


def segmentation(arguments: argparse.Namespace) -> None:
    """Print the intersection over union."""
    contest = Contest(FewShotSegmentation(), arguments)
    masks = {name: np.asarray(drawn.tasks.query_masks) for name, drawn in contest.held_out.items()}
    contest.add("everything", lambda: {name: average(each.mean(axis=(1, 2, 3))) for name, each in masks.items()})
    print("\nSegmentation: intersection over union in percent, ", end="")
    contest.run({"unadapted network": lambda seed: contest.searched("gradient", seed, WithoutExamples())})


# Landmarks

SIZES = (5, 9, 13, 17, 21)
WIDTHS = (math.inf, 20.0, 10.0, 7.0, 5.0, 3.0)
SHARP = (1e4, 100.0, 30.0)


def mean_position(task: Views, from_ink: bool) -> jax.Array:
    """Return the mean of the marked points for each query, ``[queries, 2]``, as it lies from the centre of the ink."""
    if not from_ink:
        return jnp.broadcast_to(jnp.mean(task.support_points, axis=0), task.query_points.shape)
    return centres(task.query) + jnp.mean(task.support_points - centres(task.support), axis=0)


def standard(windows: jax.Array) -> jax.Array:
    """Return pixels ``[..., pixels]`` of mean 0 and norm 1."""
    away = windows - jnp.mean(windows, axis=-1, keepdims=True)
    return away / (jnp.linalg.norm(away, axis=-1, keepdims=True) + 1e-3)


def correlations(task: Views, side: int, angles: Sequence[float]) -> jax.Array:
    """Return the normalised correlation of templates and windows, ``[queries, H, W, shots, angles]``."""
    grid = jnp.stack(jnp.meshgrid(*2 * [jnp.arange(side) - side // 2], indexing="ij")).astype(jnp.float32)

    def cut(image: jax.Array, point: jax.Array, angle: jax.Array) -> jax.Array:
        sine, cosine = jnp.sin(angle), jnp.cos(angle)
        turned = jnp.stack([cosine * grid[0] - sine * grid[1], sine * grid[0] + cosine * grid[1]])
        return map_coordinates(image, list(turned + point[:, None, None]), 1).ravel()

    every = jax.vmap(lambda image, point: jax.vmap(lambda angle: cut(image, point, angle))(jnp.asarray(angles)))
    templates = standard(every(task.support, task.support_points))
    windows = jax.lax.conv_general_dilated_patches(task.query[:, None], (side, side), (1, 1), "SAME")
    return jnp.einsum("qshw,kas->qhwka", standard(windows.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2), templates)


@functools.partial(jax.jit, static_argnums=(1, 2))
def template_errors(tasks: Views, side: int, turned: bool) -> jax.Array:
    """Return the errors of template matching, ``[2, WIDTHS, SHARP, N, queries]``; the best shot, or the mean."""
    angles = np.linspace(-np.pi / 2, np.pi / 2, 9) if turned else np.zeros(1)

    def one(task: Views) -> jax.Array:
        by_shot = jnp.max(correlations(task, side, tuple(angles)), axis=-1)
        expected = mean_position(task, from_ink=True)
        pixels = jnp.stack(jnp.meshgrid(*2 * [jnp.arange(task.query.shape[1])], indexing="ij"), axis=-1)
        away = jnp.sum((pixels - expected[:, None, None]) ** 2, axis=-1)

        def error(scores: jax.Array, width: jax.Array, sharp: jax.Array) -> jax.Array:
            chances = jax.nn.softmax(sharp * (scores - away / (2 * width**2)), axis=(1, 2))
            return jnp.linalg.norm(jnp.einsum("qhw,hwx->qx", chances, pixels) - task.query_points, axis=1)

        kinds = jnp.stack([jnp.max(by_shot, axis=-1), jnp.mean(by_shot, axis=-1)])
        sharp = jax.vmap(error, (None, None, 0))
        return jax.vmap(jax.vmap(sharp, (None, 0, None)), (0, None, None))(
            kinds, jnp.asarray(WIDTHS), jnp.asarray(SHARP)
        )

    return jnp.moveaxis(jax.lax.map(one, tasks), 0, 3)


def template_matching(contest: Contest) -> Scores:
    """Return the scores of the templates that are best on training tasks."""
    medians = {
        (side, turned): np.median(template_errors(contest.tuning.tasks, side, turned), axis=(3, 4))
        for side, turned in itertools.product(SIZES, (False, True))
    }
    side, turned = min(medians, key=lambda kind: float(medians[kind].min()))
    found = medians[side, turned]
    kind, width, sharp = place = tuple(int(i) for i in np.unravel_index(np.argmin(found), found.shape))
    how = (
        f"({side} pixels, {'turned, ' if turned else ''}{('best', 'mean')[kind]} of the shots, within "
        f"{WIDTHS[width]:g} pixels, sharpness {SHARP[sharp]:g})"
    )
    errors = {n: template_errors(drawn.tasks, side, turned)[place] for n, drawn in contest.held_out.items()}
    return {"how": how} | {name: average(each) for name, each in errors.items()}


def landmarks(arguments: argparse.Namespace) -> None:
    """Print the median distance of prediction and landmark."""
    contest = Contest(LandmarkPrediction(), arguments)

    def mean_scores(from_ink: bool) -> Scores:
        distance = jax.vmap(lambda task: jnp.linalg.norm(mean_position(task, from_ink) - task.query_points, axis=1))
        return {name: average(jax.jit(distance)(drawn.tasks)) for name, drawn in contest.held_out.items()}

    contest.add("mean position in the image", lambda: mean_scores(False))
    contest.add("mean position from the ink", lambda: mean_scores(True))
    contest.add("template matching", lambda: template_matching(contest))
    print("\nLandmarks: median error in pixels, ", end="")
    contest.run({})


# Detection

BLURS = (0.0, 0.5, 1.0, 1.5, 2.0)


@dataclasses.dataclass(frozen=True)
class Pixels(FewShotDetection):
    """The normalised correlation of pixels with the example, and with turned and scaled copies of it."""

    blur: float = 0.0
    copies: bool = False

    @property
    def stride(self) -> int:
        """Every second pixel begins a window."""
        return 2

    def blurred(self, images: jax.Array) -> jax.Array:
        """Return images ``[N, H, W]`` blurred by a Gaussian."""
        if self.blur == 0:
            return images
        place = np.arange(images.shape[1])
        near = np.exp(-(((place[:, None] - place) / self.blur) ** 2) / 2).astype(np.float32)
        near /= near.sum(axis=1).max()
        return near @ images @ near

    def init(self, key: Any, omega: Any, task: Any) -> jax.Array:
        """Return the mean example and its copies, ``[copies, SIZE²]``, of mean 0 and norm 1."""
        kinds = list(itertools.product((-0.6, -0.3, 0.0, 0.3, 0.6), (0.8, 1.0, 1.25))) if self.copies else [(0.0, 1.0)]
        angles, factors = jnp.asarray(kinds, jnp.float32).T
        example = jnp.mean(self.blurred(task.support), axis=0)
        return standard(jax.vmap(warped, (None, 0, 0))(example, angles, factors).reshape(len(kinds), -1))

    def scores(self, omega: Any, learner: jax.Array, images: jax.Array) -> jax.Array:
        """Return the greatest correlation of a copy and each window, ``[N, rows, columns]``."""
        lines = np.arange(0, images.shape[1] - SIZE + 1, self.stride)[:, None] + np.arange(SIZE)
        windows = self.blurred(images)[:, lines[:, None, :, None], lines[None, :, None, :]]
        return jnp.max(standard(windows.reshape(*windows.shape[:3], -1)) @ learner.T, axis=-1)

    def corners(self, scores: jax.Array) -> jax.Array:
        """Return the first pixel of each window."""
        return super().corners(scores) - MARGIN


def detection(arguments: argparse.Namespace) -> None:
    """Print the average precision."""
    common: dict[str, Any] = {"characters": arguments.characters, "data_directory": arguments.data_directory}
    contest = Contest(FewShotDetection(**common), arguments)

    def pixels(copies: bool) -> Scores:
        kinds = [Pixels(blur=blur, copies=copies, **common) for blur in BLURS]
        omega = jax.tree.map(jnp.zeros_like, kinds[0].space.decode(kinds[0].space.start(jax.random.key(0))))
        best = max(kinds, key=lambda kind: average(measured(kind, omega, contest.tuning)))
        return {"how": f"(blur {best.blur:g})"} | contest.scores(omega, best)

    contest.add("raw pixels", lambda: pixels(copies=False))
    contest.add("raw pixels, turned and scaled copies", lambda: pixels(copies=True))
    print(f"\nDetection of {arguments.characters}: average precision in percent, ", end="")
    contest.run({})


PROBLEMS = {"segmentation": segmentation, "landmarks": landmarks, "detection": detection}


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="*", choices=[*PROBLEMS, []], help="some of them; all by default")
    parser.add_argument("--seconds", type=float, default=120, help="of one search")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=1000, help="held-out tasks; a fifth as many to choose on")
    parser.add_argument("--population", type=int, default=256)
    parser.add_argument("--draws", type=int, default=16, help="random weights among which the best are chosen")
    parser.add_argument("--characters", choices=("omniglot", "glyphs"), default="glyphs")
    parser.add_argument("--data-directory", help="the folder with Omniglot's files; else EVOMETA_DATA names it")
    parser.add_argument("--places", type=int, default=10, help="where to measure: the first so many")
    parser.add_argument("--only", nargs="+", help="the learners of these rows alone")
    parser.add_argument("--keep", type=Path, help="a file to keep scores in; what is there is not measured again")
    small = "segmentation --seconds 0.1 --seeds 1 --tasks 2 --places 1 --only gradient"
    arguments = parse_arguments(parser, small)
    for name in arguments.which or PROBLEMS:
        PROBLEMS[name](arguments)


if __name__ == "__main__":
    main()
