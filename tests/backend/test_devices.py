"""Each case needs a JAX whose backend has not started, and therefore a process of its own."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evometa.backend import container
from evometa.backend.container import cpu_cores

V2 = "30 25 0:26 / /c rw,nosuid - cgroup2 cgroup2 rw\n"
V1 = "31 25 0:27 /docker/abc /v rw - cgroup cgroup rw,cpu,cpuacct\n"
V1 += "32 25 0:28 /docker/abc /m rw - cgroup cgroup rw,memory\n"
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


@pytest.mark.parametrize(
    ("files", "quota", "memory"),
    [
        pytest.param({}, math.inf, None, id="no control groups"),
        pytest.param({"cgroup": "0::/\n", "mounts": V2, "c/cpu.max": "150000 100000\n"}, 1.5, None, id="version 2"),
        pytest.param({"cgroup": "0::/\n", "mounts": V2, "c/cpu.max": "max 100000\n"}, math.inf, None, id="no quota"),
        pytest.param(
            {
                "cgroup": "0::/job/step\n",
                "mounts": V2,
                "c/job/cpu.max": "200000 100000\n",
                "c/job/step/cpu.max": "max 100000\n",
                "c/job/step/memory.max": "max\n",
                "c/job/memory.max": "1048576\n",
            },
            2.0,
            2**20,
            id="of the group around it",
        ),
        pytest.param(
            {
                "cgroup": "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n",
                "mounts": V1,  # the container sees its own group where the host has the root
                "v/cpu.cfs_quota_us": "50000\n",
                "v/cpu.cfs_period_us": "100000\n",
                "m/memory.limit_in_bytes": "2097152\n",
            },
            0.5,
            2**21,
            id="version 1",
        ),
        pytest.param(
            {
                "cgroup": "5:cpu:/\n4:memory:/\n",
                "mounts": V1,
                "v/cpu.cfs_quota_us": "-1\n",
                "m/memory.limit_in_bytes": f"{2**63 - 4096}\n",
            },
            math.inf,
            None,
            id="version 1 without limits",
        ),
    ],
)
def test_the_limits_of_a_container_are_read(
    tmp_path: Path, files: dict[str, str], quota: float, memory: int | None
) -> None:
    for name, text in files.items():
        file = tmp_path / {"cgroup": "proc/self/cgroup", "mounts": "proc/self/mountinfo"}.get(name, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert container.cpu_quota(tmp_path) == quota
    allowed = cpu_cores(Path("/")) if quota == math.inf else max(1, math.ceil(quota))
    assert container.cpu_cores(tmp_path) == min(len(os.sched_getaffinity(0)), allowed)
    assert container.machine_memory(tmp_path) == memory or (
        memory is None and container.machine_memory(tmp_path) > 2**28
    )
