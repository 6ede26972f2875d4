"""A real browser opens the list, compares two runs while they are searched, and outlives the run directory of one."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from .conftest import Serve

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
SEARCH = """
    import sys, time
    from evometa import Box, Categorical, Dict, HostProblem, Search
    from evometa.strategies import GeneticAlgorithm

    class Slow(HostProblem):
        @property
        def space(self):
            return Dict({"x": Box((), -1.0, 1.0), "y": Box((), -1.0, 1.0), "kind": Categorical(["a", "b"])})

        def evaluate(self, rng, omega):
            time.sleep(0.02)
            return float(omega["x"]) ** 2

    if __name__ == "__main__":
        search = Search(Slow(), GeneticAlgorithm(4), run_directory=sys.argv[1], workers=1, progress=False)
        search.run(generations=10_000)
"""


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    if not (CHROMIUM and DRIVER):
        if os.environ.get("EVOMETA_REQUIRE_BROWSER") == "1":
            pytest.fail("EVOMETA_REQUIRE_BROWSER is 1, and there is no chromium with its chromedriver")
        pytest.skip("needs chromium and chromedriver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,900"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={tmp_path / 'browser'}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield chrome
    chrome.quit()


@pytest.fixture
def searching(root: Path, tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Search in ``root/live`` in a process of its own."""
    script = tmp_path / "slow.py"
    script.write_text(textwrap.dedent(SEARCH))
    process = subprocess.Popen([sys.executable, str(script), str(root / "live")], text=True)
    yield [process]
    process.kill()
    process.wait()


def wait(ready: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Return what is ready, as soon as it is."""
    end = time.monotonic() + seconds
    while not (found := ready()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
    return found


def test_follows_runs_while_they_are_searched(
    root: Path, serve: Serve, browser: webdriver.Chrome, searching: list[subprocess.Popen[str]]
) -> None:
    served = serve(root)
    address = f"http://127.0.0.1:{served.port}"

    def rows() -> dict[str, str]:
        """Return the text of each line of the list by its name; at once, as lines may vanish."""
        script = (
            "return [...document.querySelectorAll('tr[data-name]')].map(r => [r.dataset.name, r.innerText, r.hidden])"
        )
        return {name: text for name, text, hidden in browser.execute_script(script) if not hidden}

    def points(curve: str) -> int:
        """Return the last generation of a curve of the first chart that has it."""
        script = (
            "for (const chart of document.querySelectorAll('.js-plotly-plot')) for (const trace of chart.data)"
            " if (trace.name === arguments[0] && chart.querySelector('path.js-line')) return trace.x.at(-1); return 0"
        )
        return int(browser.execute_script(script, curve))

    browser.get(address)
    wait(lambda: "running" in rows().get("live", ""))
    assert set(rows()) == {"single", "sweep/seed0", "sweep/seed1", "live"}
    assert "sweep, 2 runs" in browser.find_element(By.TAG_NAME, "main").text
    browser.find_element(By.ID, "filter").send_keys("running genetic")
    assert set(rows()) == {"live"}
    browser.find_element(By.ID, "filter").clear()
    browser.find_element(By.ID, "filter").send_keys(" ")
    before = rows()["live"]
    wait(lambda: rows()["live"] != before)

    for name in ("live", "single"):
        browser.find_element(By.CSS_SELECTOR, f"[aria-label='Select {name}']").click()
    browser.find_element(By.ID, "compare").click()
    first = wait(lambda: points("slow genetic-algorithm"))
    marked = browser.find_element(By.CSS_SELECTOR, ".js-plotly-plot")
    browser.execute_script("window.same = true")  # lost if the page were loaded again
    wait(lambda: points("slow genetic-algorithm") > first)
    assert browser.execute_script("return window.same")
    assert marked.is_displayed()
    assert "1 of 2 running" in browser.find_element(By.ID, "status").text

    browser.get(f"{address}/run?path=live")
    wait(lambda: points("best so far"))
    # In one step each, as Plotly makes buttons and titles anew whenever the curves grow.
    browser.execute_script("document.querySelectorAll('.updatemenu-button')[1].dispatchEvent(new MouseEvent('click'))")
    first = points("best so far")
    wait(lambda: points("best so far") > first)
    title = browser.execute_script("return document.querySelector('.xtitle').textContent")
    assert title == "evaluations"  # as was chosen
    candidates = browser.find_element(By.ID, "candidates")
    assert "WebGL" not in candidates.text
    assert candidates.find_elements(By.CSS_SELECTOR, "path.js-line")

    searching[0].send_signal(signal.SIGINT)
    wait(lambda: browser.find_element(By.ID, "status").text == "stopped")
    shutil.rmtree(root / "live")
    wait(lambda: "may have been removed" in browser.find_element(By.ID, "notice").text)
    browser.get(address)
    wait(lambda: set(rows()) == {"single", "sweep/seed0", "sweep/seed1"})
    shutil.rmtree(root / "sweep" / "seed0")
    wait(lambda: set(rows()) == {"single", "sweep/seed1"})

    errors = [line["message"] for line in browser.get_log("browser") if line["level"] == "SEVERE"]
    unexpected = [text for text in errors if "plotly.js" not in text and "404" not in text]
    assert not unexpected
