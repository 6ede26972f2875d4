"""Classes typed into a notebook: kept with the run, rebuilt from there in another process, refused with a reason."""

import subprocess
import sys
import textwrap
from pathlib import Path

CELLS = [
    "import dataclasses\nimport jax.numpy as jnp\nimport numpy as np\nimport evometa as em\nfrom math import pi",
    "CENTER = (1.0, 2.0)\ncomputed = np.arange(3)\n",
    "def distance(omega, center=CENTER):\n    return jnp.sum((omega - jnp.asarray(center)) ** 2)\n",
    """
    @dataclasses.dataclass(frozen=True)
    class Mine(em.Problem):
        scale: float = pi

        @property
        def space(self):
            return em.Box((2,))

        def evaluate(self, key, omega):
            return self.scale * distance(omega)
    """,
    """
    class Plain(em.HostProblem):
        space = em.Box((2,))

        def evaluate(self, rng, omega):
            return float(np.sum(omega ** 2)) + CENTER[0]
    """,
    """
    class Careless(em.HostProblem):
        space = em.Box((2,))

        def evaluate(self, rng, omega):
            return float(computed[0])
    """,
]
NOTEBOOK = """
import linecache, sys
main = sys.modules["__main__"]
for number, cell in enumerate({cells!r}):
    name = f"<cell {{number}}>"
    linecache.cache[name] = (len(cell), None, cell.splitlines(keepends=True), name)
    exec(compile(cell, name, "exec"), vars(main))
{last}
"""


def notebook(last: str, folder: Path) -> str:
    """Run a notebook whose last cell is given; return what it prints."""
    cells = [textwrap.dedent(cell).lstrip() for cell in CELLS]
    program = NOTEBOOK.format(cells=cells, last=textwrap.dedent(last))
    return call(["-c", program], folder)


def call(words: list[str], folder: Path) -> str:
    environment = {"TMPDIR": str(folder), "PATH": "/usr/bin:/bin", "HOME": str(folder), "EVOMETA_CPU_DEVICES": "1"}
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_a_class_is_kept_with_the_run_and_resumed_elsewhere(tmp_path: Path) -> None:
    notebook(
        """
        strategy = em.strategies.RandomSearch(4)
        em.Search(Mine(scale=2.0), strategy, run_directory="a", progress=False).run(generations=3)
        em.Search(Plain(), strategy, run_directory="b", workers=1, progress=False).run(generations=2)
        """,
        tmp_path,
    )
    for kept in tmp_path.glob("evometa-cells-*/*"):
        kept.unlink()
    (tmp_path / "moved").mkdir()
    (tmp_path / "a").rename(tmp_path / "moved" / "a")
    program = """
        import evometa as em
        result = em.Search.resume("moved/a", progress=False).run(generations=4)
        run = em.load("moved/a")
        expected = run.problem.evaluate(None, result.best_omega)
        print("same", abs(float(expected) - result.best_fitness) < 1e-5, result.generations, run.problem.scale)
        print(em.Search.resume("b", workers=1, progress=False).run(generations=3).generations)
    """
    (tmp_path / "resume.py").write_text(textwrap.dedent(program))
    printed = call([str(tmp_path / "resume.py")], tmp_path)
    assert "same True 4 2.0" in printed
    assert "Mine was typed into a notebook; it is built from the source kept with the run" in printed


def test_what_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    printed = notebook(
        """
        try:
            em.Search(Careless(), em.strategies.RandomSearch(4), run_directory="a")
        except em.ConfigurationError as error:
            print(error)
        """,
        tmp_path,
    )
    assert "Careless was typed into a notebook and uses computed, of type ndarray, which cannot be kept" in printed
    assert "make it a field of the class" in printed


def test_a_changed_copy_is_refused(tmp_path: Path) -> None:
    search = 'em.Search(Mine(), em.strategies.RandomSearch(4), run_directory="a", progress=False)'
    notebook(f"{search}.run(generations=1)", tmp_path)
    (copy,) = (tmp_path / "a" / "copied_data").glob("notebook_*.py")
    copy.write_text(copy.read_text() + "# changed")
    program = """
        import evometa as em
        try:
            em.Search.resume("a")
        except em.RunDirectoryError as error:
            print(error)
    """
    assert "expected to have the digest" in call(["-c", textwrap.dedent(program)], tmp_path)
