"""Each case needs a JAX whose backend has not started, and therefore a process of its own."""

import os
import subprocess
import sys

import pytest

from evometa.backend.devices import cpu_cores

COUNT = "print(len(jax.devices('cpu')))"
CHOICES = ("EVOMETA_CPU_DEVICES", "JAX_NUM_CPU_DEVICES", "XLA_FLAGS")


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in CHOICES}
    return subprocess.run(
        [sys.executable, "-c", code], env=inherited | environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("code", "environment", "devices"),
    [
        pytest.param(f"import evometa, jax; {COUNT}", {}, cpu_cores(), id="one a core"),
        pytest.param(f"import evometa, jax; {COUNT}", {"EVOMETA_CPU_DEVICES": "3"}, 3, id="asked for"),
        pytest.param(f"import evometa, jax; {COUNT}", {"EVOMETA_CPU_DEVICES": "1"}, 1, id="left as it is"),
        pytest.param(
            f"import jax; jax.config.update('jax_num_cpu_devices', 5); import evometa; {COUNT}",
            {"EVOMETA_CPU_DEVICES": "3"},
            5,
            id="chosen in code before",
        ),
        pytest.param(
            f"import evometa, jax; jax.config.update('jax_num_cpu_devices', 5); {COUNT}",
            {},
            5,
            id="chosen in code after",
        ),
        pytest.param(
            f"import evometa, jax; {COUNT}",
            {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "EVOMETA_CPU_DEVICES": "3"},
            4,
            id="XLA flag",
        ),
        pytest.param(
            f"import jax; jax.devices(); import evometa; {COUNT}", {"EVOMETA_CPU_DEVICES": "3"}, 1, id="started already"
        ),
    ],
)
def test_number_of_devices(code: str, environment: dict[str, str], devices: int) -> None:
    done = run(code, **environment)
    assert done.stdout.strip() == str(devices), done.stderr


@pytest.mark.parametrize("value", ["0", "-2", "two", ""])
def test_a_value_that_is_no_number_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from evometa import ConfigurationError
    from evometa.backend import devices

    monkeypatch.setenv("EVOMETA_CPU_DEVICES", value)
    with pytest.raises(ConfigurationError, match=f"whole number of at least 1.* got '{value}'; unset it"):
        devices.request_cpu_devices()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot bind a process to cores")
def test_counts_the_cores_this_process_may_use() -> None:
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); import evometa, jax; " + COUNT
    assert run(code).stdout.strip() == "1"
