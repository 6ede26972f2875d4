"""Make the pictures of the gallery and print its page: ``python docs/gallery.py > docs/gallery.md``.

Each problem is searched by its recipe with a small budget and drawn by ``evometa plot``, in ``runs/gallery``; a run
that is there is not repeated, so the script continues where it was stopped. ``python docs/gallery.py NAME ...`` makes
only these and prints what the page shows of them. All take half an hour of one core. Pictures on the page of problems,
of longer searches, stay as they are.
"""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

from PIL import Image

from evometa.cli.catalog import by_branch
from evometa.cli.names import table

DOCS = Path(__file__).parent
RUNS, PICTURES = DOCS.parent / "runs" / "gallery", DOCS / "pictures" / "gallery"
WIDTH, COLOURS = 720, 64
"""Of a picture in the page: pixels, and colours in the file."""
SECONDS = 15
SPECIAL = {
    "architecture-search": "--seconds 120",
    "data-augmentation": "--seconds 120",
    "double-pole": "--evaluations 1500",
    "incremental-omniglot": "--characters glyphs",
    "omniglot-initialisation": "--characters glyphs",
    "omniglot-prototypes": "--characters glyphs",
}
"""Options beside the recipe, of problems that take minutes or need files without them."""
NO_PICTURE = {"command-problem"}
FIRST_CHOICE = ("front", "archive", "fitness")
"""What shows most of a problem that draws nothing of its own."""
HEAD = """# Gallery

Each problem with a picture of what a search found, the command that made it, and its numbers. `evometa plot` on the run
directory draws the picture.

| column | |
|---|---|
| this run | the fitness of the selected ω on held-out tasks, or else on training tasks, after the command on one core |
| whole recipe | the same after `evometa run NAME` with its own budget ([table](../benchmarks/README.md#recipes)) |

Problems that draw nothing of their own show how learners train with the ω that was found, or what the search did. The
machine was busy with other work: some of these runs got no further than a generation or two, and yours see more.
"""
SINUSOID = {
    "sinusoid": (
        "evometa run sinusoid --num-tasks 4 --seconds 60",
        "predictions from the weights that were found, before training and after one and ten steps on ten points of a "
        "wave (mean squared error after one step 0.62 in the benchmarks, where MAML's authors have 0.67)",
        "pictures/adaptation.png",
    )
}
"""The picture of README.md."""
OUTDATED = ("MazeExplorer", "MazeLayout", "MultimodalRegression", "Navigation")
"""Rows of the table of recipes that are of what these problems were before."""


def command(name: str) -> str:
    """Return the command that makes the run of a problem."""
    options = SPECIAL.get(name, "")
    limit = "" if "--seconds" in options else f"--seconds {SECONDS}"
    return " ".join(f"evometa run {name} {options} {limit}".split())


def search(name: str) -> Path:
    """Search and plot one problem, unless that was done; return the run directory."""
    folder = RUNS / name
    evometa = [sys.executable, "-m", "evometa"]
    if not (folder / "result.json").exists():
        run = [*evometa, *command(name).split()[1:], "--run-directory", str(folder), "--overwrite"]
        subprocess.run(run, check=True, stdout=sys.stderr)
    if not (folder / "fitness.png").exists():
        subprocess.run([*evometa, "plot", str(folder)], check=True, stdout=sys.stderr)
    return folder


def picture(name: str, folder: Path) -> Path:
    """Return the picture of a problem, small."""
    own = [path for path in folder.glob("*.png") if path.stem not in ("fitness", "strategy", *FIRST_CHOICE)]
    chosen = own or [path for stem in FIRST_CHOICE if (path := folder / f"{stem}.png").exists()]
    image = Image.open(sorted(chosen)[0]).convert("RGB")
    image = image.resize((min(WIDTH, image.width), round(image.height * min(WIDTH, image.width) / image.width)))
    PICTURES.mkdir(exist_ok=True)
    image.quantize(COLOURS).save(PICTURES / f"{name}.png", optimize=True)
    return PICTURES / f"{name}.png"


def known() -> dict[str, tuple[str, str, str]]:
    """Return the command, the words and the picture of each problem that the page of problems shows."""
    text = (DOCS / "problems.md").read_text()
    found = re.findall(r"^`evometa run ([\w-]+)([^`]*)`, (.*?):\n\n!\[.*?\]\((.*?)\)", text, re.MULTILINE | re.DOTALL)
    return SINUSOID | {
        name: (f"evometa run {name}{rest}", " ".join(words.split()), path) for name, rest, words, path in found
    }


def recipes() -> dict[str, str]:
    """Return the fitness after the whole recipe by the names of classes, from the table in the benchmarks."""
    text = (DOCS.parent / "benchmarks" / "README.md").read_text()
    rows = re.findall(r"^\| (\w+) +\| +(\S*) \| +(\S+) \| +\d+ \|", text.partition("## Recipes")[2], re.MULTILINE)
    return {name: held_out or training for name, held_out, training in rows if name not in OUTDATED}


def this_run(folder: Path) -> str:
    """Return the fitness of the selected ω of a run."""
    result = json.loads((folder / "result.json").read_text())
    held_out = float(result["selected_held_out"])  # NaN is text there
    return f"{float(result['best_fitness']) if math.isnan(held_out) else held_out:.4g}"


def block(cls: type, name: str, omega: str, before: dict[str, tuple[str, str, str]]) -> str:
    """Return what the page shows of a problem."""
    better = "larger" if cls.direction == "maximize" else "smaller"
    whole = recipes().get(cls.__name__, "")
    if name in before:
        ran, words, path = before[name]
        lines = [f"{words[0].upper()}{words[1:]}."]
        columns, cells = [], []
    else:
        folder = search(name)
        ran, path, lines = command(name), picture(name, folder).relative_to(DOCS), []
        columns, cells = ["this run"], [this_run(folder)]
    if whole:
        columns, cells = [*columns, "whole recipe"], [*cells, whole]
    table = [["command", *columns, "better is"], ["---"] * (len(columns) + 2), [f"`{ran}`", *cells, better]]
    lines = [f"### {name}\n", f"ω: {omega}.", *lines, ""]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in table), "", f"![{name}]({path})", ""])


def main() -> None:
    """Print the page, or the parts of the problems that are named."""
    wanted, problems, before = sys.argv[1:], table("problem"), known()
    print("" if wanted else HEAD)
    for branch, entries in by_branch(problems).items():
        chosen = [name for name in entries if name not in NO_PICTURE and (not wanted or name in wanted)]
        print(f"## {branch[0].upper()}{branch[1:]}\n\n" if chosen and not wanted else "", end="")
        for name in chosen:
            print(block(problems[name], name, entries[name], before))


if __name__ == "__main__":
    main()
