"""The dashboard shows every run under its directory, nothing outside of it, whatever happens to the files."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pandas as pd
import pytest
from filelock import FileLock

from .conftest import Serve


def headings(page: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page)


def test_lists_runs_and_then_what_has_changed(root: Path, serve: Serve) -> None:
    served = serve(root)
    first = served.ask("/runs.json").json
    runs = {run["name"]: run for run in first["runs"]}
    assert set(runs) == {"single", "sweep/seed0", "sweep/seed1"}
    one, history = runs["sweep/seed1"], pd.read_csv(root / "sweep" / "seed1" / "history.csv")
    assert one["best"] == pytest.approx(history["best_so_far"].iloc[-1], rel=1e-6)
    assert (one["generations"], one["evaluations"], one["seed"]) == (5, 20, 1)
    assert (one["problem"], one["strategy"], one["group"], one["sweep"]) == ("Bowl", "RandomSearch", "sweep", True)
    assert (one["status"], one["reason"]) == ("ended", "the limit of 5 generations was reached")
    assert not runs["single"]["sweep"]

    later = f"/runs.json?identity={first['identity']}&since={first['version']}"
    assert served.ask(later).json == {**first, "runs": []}
    with open(root / "single" / "history.csv", "a") as file:
        file.write(f"6,24,0,0{',1' * (len(history.columns) - 4)}\n7,28")  # the last row is being written
    shutil.rmtree(root / "sweep" / "seed0")
    changed = served.ask(later).json
    assert [(run["name"], run["generations"]) for run in changed["runs"]] == [("single", 6)]
    assert changed["gone"] == ["sweep/seed0"]
    assert changed["runs"][0]["status"] == "running"  # rows came after its end, a moment ago
    assert len(served.ask("/runs.json?identity=other&since=99").json["runs"]) == 2


def test_a_locked_run_is_running(root: Path, serve: Serve) -> None:
    served = serve(root)
    with FileLock(root / "single" / ".lock"):
        assert served.runs()["single"]["status"] == "running"
    assert served.runs()["single"]["status"] == "ended"


def test_shows_the_report_of_a_run_and_compares_several(root: Path, serve: Serve) -> None:
    served = serve(root)
    page = served.ask("/run?path=sweep/seed0")
    assert page.status == 200
    assert headings(page.text)[:3] == ["What was found", "Fitness", "Population"]
    both = served.ask("/compare?run=sweep/seed0&run=sweep/seed1")
    assert headings(both.text) == ["Ranking", "Curves", "Runs", "Commands"]
    for text in (served.ask("/").text, page.text, both.text):
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text)
        assert all('src="/static/' in tag or "application/json" in tag for tag in re.findall(r"<script[^>]*>", text))

    for address in ("/run.json?path=sweep/seed0", "/compare.json?run=sweep/seed0&run=sweep/seed1"):
        new = served.ask(address).json
        assert "<h2>" in new["html"]
        assert "html" not in served.ask(f"{address}&seen={new['version']}").json
    (root / "sweep" / "seed1" / "history.csv").unlink()
    shutil.rmtree(root / "sweep" / "seed1" / "checkpoints")
    left = served.ask("/compare?run=sweep/seed0&run=sweep/seed1").text
    assert "sweep/seed1 is left out. It has no generation yet." in left
    assert served.ask("/compare").status == 400
    assert served.ask("/compare?run=sweep/seed1").status == 422


@pytest.mark.parametrize(
    "name",
    ["../runs/single", "..", "/etc", "single/../single", "./single", "single/checkpoints", "out", "single\0", "/", ""],
)
def test_nothing_outside_is_found_by_a_name(name: str, root: Path, serve: Serve) -> None:
    (root / "out").symlink_to(root.parent / "elsewhere")
    shutil.copytree(root / "single", root.parent / "elsewhere")
    served = serve(root)
    assert served.ask(f"/run?path={quote(name, safe='')}").status == 404
    assert served.ask(f"/compare.json?run={quote(name, safe='')}").status == 404


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e%2fapp.py", "/static//etc/passwd", "/../etc/passwd", "/static/"]
)
def test_only_its_own_static_files_are_served(path: str, root: Path, serve: Serve) -> None:
    assert serve(root).ask(path).status == 404


def test_links_are_followed_within_the_directory_only(root: Path, serve: Serve) -> None:
    outside = shutil.copytree(root / "single", root.parent / "secret")
    for name in ("inner", "outer", "deep"):
        shutil.copytree(root / "single", root / name)
        (root / name / "history.csv").unlink()
    (root / "inner" / "history.csv").symlink_to(root / "single" / "history.csv")
    (root / "outer" / "history.csv").symlink_to(outside / "history.csv")
    shutil.copy(outside / "history.csv", root / "deep")
    (root / "deep" / "checkpoints" / "000000000009").symlink_to(outside / "checkpoints")
    (root / "circle").symlink_to(root)
    served = serve(root)
    runs = served.runs()
    assert set(runs) == {"single", "sweep/seed0", "sweep/seed1", "inner", "outer", "deep"}
    assert runs["inner"]["generations"] == 5
    assert (runs["outer"]["status"], runs["outer"]["generations"]) == ("damaged", 0)
    assert served.ask("/run?path=inner").status == 200
    for name in ("outer", "deep"):
        answer = served.ask(f"/run?path={name}")
        assert answer.status == 422, name
        assert "leads out of the directory" in answer.text


def test_what_is_no_file_and_what_is_no_text_disturbs_nothing(root: Path, serve: Serve) -> None:
    (root / "single" / "history.csv").unlink()
    os.mkfifo(root / "single" / "history.csv")
    odd = Path(os.fsdecode(os.fsencode(root / "sweep") + b"/\xff<b>"))
    (root / "sweep" / "seed0").rename(odd)
    manifest = (root / "sweep" / "seed1" / "manifest.json").read_text()
    (root / "sweep" / "seed1" / "manifest.json").write_text(manifest.replace("RandomSearch", "\\ud800<i>"))
    served = serve(root)
    runs = served.runs()
    assert "neither a file nor a folder" in runs["single"]["reason"]
    assert set(runs) == {"single", "sweep/\\udcff<b>", "sweep/seed1"}
    for name in runs:
        page = served.ask(f"/run?path={quote(name)}")
        assert page.status == (422 if name == "single" else 200)
        assert "<b>" not in page.text
        assert "<i>" not in page.text
    assert served.ask("/compare.json?" + "&".join(f"run={quote(name)}" for name in runs)).status == 200


def cut(name: str) -> Callable[[Path], object]:
    return lambda run: (run / name).write_bytes((run / name).read_bytes()[:90])


DAMAGE: dict[str, tuple[Callable[[Path], object], str, int]] = {
    "manifest cut": (cut("manifest.json"), "damaged", 422),
    "manifest of another kind": (lambda run: (run / "manifest.json").write_text("[]"), "damaged", 422),
    "manifest gone": (lambda run: (run / "manifest.json").unlink(), "damaged", 422),
    "history of bytes": (lambda run: (run / "history.csv").write_bytes(b"a,b\n\xff\xfe,1\n"), "damaged", 200),
    "history begun": (lambda run: (run / "history.csv").write_bytes(b"generation,eval"), "stopped", 200),
    "history gone": (lambda run: (run / "history.csv").unlink(), "stopped", 200),
    "numbers cut": (cut("result.json"), "damaged", 200),
    "result cut": (cut("result.npz"), "ended", 200),
    "timing gone": (lambda run: (run / "timing.csv").unlink(), "ended", 200),
    "checkpoints gone": (lambda run: shutil.rmtree(run / "checkpoints"), "ended", 200),
}


def test_survives_damaged_runs(root: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evometa.dashboard.summaries.RECENT", 0.0)
    for name, (damage, _, _) in DAMAGE.items():
        damage(Path(shutil.copytree(root / "single", root / name)))
    served = serve(root)
    runs = served.runs()
    for name, (_, status, answer) in DAMAGE.items():
        assert runs[name]["status"] == status, name
        assert (runs[name]["reason"] != "") == (status != "running"), name
        assert served.ask(f"/run?path={quote(name)}").status == answer, name
        assert served.ask(f"/run.json?path={quote(name)}").status == answer, name
    every = "&".join(f"run={quote(name)}" for name in [*DAMAGE, "single"])
    assert served.ask(f"/compare?{every}").status == 200
    shutil.rmtree(root)
    assert served.ask("/run?path=single").status == 404
    assert served.ask("/runs.json").json["runs"] == []


def test_runs_no_code_that_a_run_names(root: Path, serve: Serve, tmp_path: Path) -> None:
    code = tmp_path / "evil.py"
    code.write_text(f"open({str(tmp_path / 'was run')!r}, 'w')\nclass Evil: pass\n")
    for role in ("problem", "strategy"):
        for number, reference in enumerate((f"{code}:Evil", "antigravity:Evil", "evometa.__main__:Evil")):
            run = Path(shutil.copytree(root / "single", root / f"{role}{number}"))
            manifest = json.loads((run / "manifest.json").read_text())
            manifest[role]["type"] = reference
            (run / "manifest.json").write_text(json.dumps(manifest))
    served = serve(root)
    for name in served.runs():
        page = served.ask(f"/run?path={name}")
        assert page.status == 200
        assert "Fitness" in headings(page.text)
    assert not (tmp_path / "was run").exists()
