"""Programs compiled once are loaded by later processes and for every seed, where the user has not decided otherwise."""

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from evometa import Search
from evometa.backend.compilation_cache import MOST_BYTES, cache_folder, remove_cut_entries, use_compilation_cache
from evometa.naming import load
from evometa.strategies import OpenAIES

Bowl = load(f"{Path(__file__).parents[1] / 'toys.py'}:Bowl")
SETTINGS: dict[str, Any] = {
    "jax_compilation_cache_dir": None,
    "jax_compilation_cache_max_size": -1,
    "jax_persistent_cache_min_compile_time_secs": 0.0,
}


@pytest.fixture
def unset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """JAX as it is where nobody has configured a cache, and a cache directory of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    before = {name: getattr(jax.config, name) for name in SETTINGS}
    for name, value in SETTINGS.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


@pytest.mark.usefixtures("unset")
def test_a_second_process_and_another_seed_load_what_was_compiled() -> None:
    def programs(seed: int) -> set[str]:
        jax.clear_caches()  # what a new process lacks
        Search(Bowl(), OpenAIES(population_size=4), seed=seed, validation_tasks=1, devices=1).run(generations=2)
        return {path.name for path in cache_folder().glob("*-cache")}

    first = programs(1)
    assert first
    assert programs(2) == first


@pytest.mark.usefixtures("unset")
def test_what_the_user_decided_stays(tmp_path: Path) -> None:
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        use_compilation_cache()
    finally:
        jax.config.update("jax_enable_compilation_cache", True)
    assert jax.config.jax_compilation_cache_dir is None  # type: ignore[attr-defined]
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "mine"))
    use_compilation_cache()
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "mine")  # type: ignore[attr-defined]


@pytest.mark.usefixtures("unset")
def test_without_a_usable_folder_searches_compile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    use_compilation_cache()
    assert jax.config.jax_compilation_cache_dir is None  # type: ignore[attr-defined]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    use_compilation_cache()
    assert jax.config.jax_compilation_cache_dir == str(cache_folder())  # type: ignore[attr-defined]
    assert jax.config.jax_compilation_cache_max_size == MOST_BYTES  # type: ignore[attr-defined]


def test_a_cut_entry_is_removed_and_a_whole_one_read_once(tmp_path: Path) -> None:
    content = zlib.compress(b"a program" * 100)
    for name, entry in {"whole": content, "cut": content[:-5], "empty": b""}.items():
        (tmp_path / f"{name}-cache").write_bytes(entry)
    remove_cut_entries.__wrapped__(tmp_path)
    assert [path.name for path in tmp_path.glob("*-cache")] == ["whole-cache"]
    past = (tmp_path / "whole-cache").stat().st_mtime_ns
    (tmp_path / "whole-cache").write_bytes(b"old")
    os.utime(tmp_path / "whole-cache", ns=(past, past - 10**9))
    remove_cut_entries.__wrapped__(tmp_path)
    assert (tmp_path / "whole-cache").exists()
