"""The machine and the process: what is set for it, and which device it takes."""

import logging
import os
import random
import re
from importlib.metadata import PackageNotFoundError

import mindspore as ms
import numpy as np
import pytest

from mindcv.runtime import environment
from mindcv.runtime.device import select_device
from mindcv.runtime.environment import accelerator_present, cpu_settings, prepare_environment
from mindcv.runtime.session import Runtime, start
from tests.support.processes import OPEN_MPI, SETTINGS, python

without_accelerator = pytest.mark.skipif(accelerator_present(), reason="this machine has an accelerator")


# --- settings for the CPU ----------------------------------------------------------------------------------


@pytest.fixture
def machine(monkeypatch):
    """Pretends to be a machine with 8 cores."""

    def pretend(
        *, version: str | None = "2.10.0", avx512: bool = True, accelerator: bool = False, allowed: int = 8
    ) -> None:
        def installed(_: str) -> str:
            if version is None:
                raise PackageNotFoundError
            return version

        monkeypatch.setattr(environment, "accelerator_present", lambda: accelerator)
        monkeypatch.setattr(environment, "_has_avx512", lambda: avx512)
        monkeypatch.setattr(environment, "version", installed)
        monkeypatch.setattr(environment.os, "cpu_count", lambda: 8)
        monkeypatch.setattr(environment.os, "sched_getaffinity", lambda pid: set(range(allowed)))

    return pretend


@pytest.mark.parametrize(
    ("version", "avx512", "expected"),
    [
        ("2.7.0", True, None),
        ("2.8.0", True, None),
        ("2.9.0", True, "AVX2"),
        ("2.10.0", True, "AVX2"),
        ("2.10.0rc1", True, "AVX2"),
        ("3.0", True, "AVX2"),
        ("2.10.0", False, None),
        ("nightly", True, None),
        (None, True, None),
    ],
)
def test_avx512_is_switched_off_only_where_mindspore_is_slow_with_it(machine, version, avx512, expected):
    machine(version=version, avx512=avx512)
    settings = cpu_settings()
    assert settings.pop("ONEDNN_MAX_CPU_ISA", None) == expected
    assert settings == {"MS_DEV_HOST_BLOCKING_RUN": "1"}


def test_beside_an_accelerator_nothing_is_set_for_a_cpu(machine, monkeypatch):
    machine(accelerator=True)
    monkeypatch.setattr(os, "environ", OPEN_MPI.copy())
    assert cpu_settings() == {}
    prepare_environment()
    assert os.environ == OPEN_MPI | {"OPENCV_LOG_LEVEL": "ERROR"}  # which concerns no device


@pytest.mark.parametrize(("local", "threads"), [("1", None), ("2", "4"), ("3", "2"), ("8", "1"), ("9", "1")])
def test_ranks_on_one_host_share_its_cores(machine, monkeypatch, local, threads):
    machine()
    for name, value in (OPEN_MPI | {"OMPI_COMM_WORLD_LOCAL_SIZE": local}).items():
        monkeypatch.setenv(name, value)
    assert cpu_settings().get("OMP_NUM_THREADS") == threads


@pytest.mark.parametrize(("local", "threads"), [("2", "1"), ("9", "1")])
def test_a_rank_bound_to_a_core_has_one_thread(machine, monkeypatch, local, threads):
    machine(allowed=1)
    for name, value in (OPEN_MPI | {"OMPI_COMM_WORLD_LOCAL_SIZE": local}).items():
        monkeypatch.setenv(name, value)
    assert cpu_settings().get("OMP_NUM_THREADS") == threads


def test_an_accelerator_shows_as_a_device_file():
    devices = [name for name in os.listdir("/dev") if re.match(r"(davinci|nvidia)\d", name)]  # noqa: PTH208
    assert accelerator_present() == bool(devices)


PRINT_SETTINGS = f"import os; print({{k: os.environ[k] for k in {SETTINGS} if k in os.environ}})"


@without_accelerator
@pytest.mark.parametrize("imports", ["import mindcv", "import mindspore, mindcv"])
def test_importing_mindcv_applies_the_settings_and_says_nothing(imports):
    ran = python(f"{imports}; {PRINT_SETTINGS}")
    assert (ran.stdout, ran.stderr) == (f"{cpu_settings()}\n", "")
    assert cpu_settings()["MS_DEV_HOST_BLOCKING_RUN"] == "1"


def test_what_the_user_has_set_stays():
    own = {"MS_DEV_HOST_BLOCKING_RUN": "0", "ONEDNN_MAX_CPU_ISA": "SSE41", "OMP_NUM_THREADS": "7"}
    ran = python(f"import mindcv; {PRINT_SETTINGS}", **own, **OPEN_MPI)
    assert (ran.stdout, ran.stderr) == (f"{own}\n", "")


# --- device and session ------------------------------------------------------------------------------------


@without_accelerator
def test_a_missing_device_is_one_line_and_mindspore_keeps_quiet():
    ran = python(
        "from mindcv.runtime.device import select_device\n"
        "for target in ('GPU', 'Ascend'):\n"
        "    try:\n        select_device(target, 0)\n"
        "    except ValueError as error:\n        print(type(error).__name__, error)\n"
        "print(select_device('auto', 0), select_device('CPU', 1))"
    )
    missing = (
        "UserError device_target={} cannot be used: the device, its driver or MindSpore's plugin for it is "
        "missing here; install them, or set device_target to CPU or auto\n"
    )
    assert ran.stdout == missing.format("GPU") + missing.format("Ascend") + "CPU CPU\n"
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
def test_the_mode_is_the_one_asked_for(mode):
    assert select_device("CPU", mode) == "CPU"
    assert (ms.get_context("mode"), ms.get_context("device_target")) == (mode, "CPU")


def test_a_device_may_be_selected_again_in_a_notebook_that_has_run_something():
    ms.ops.add(ms.Tensor([1.0]), 1.0).asnumpy()
    assert [select_device("CPU", ms.PYNATIVE_MODE) for _ in range(2)] == ["CPU", "CPU"]


def test_a_seed_decides_every_generator():
    def draw() -> tuple[float, ...]:
        initial = ms.common.initializer.initializer("normal", [3], ms.float32).init_data()
        return random.random(), np.random.rand(), *initial.asnumpy().tolist()

    draws = []
    for seed in (7, 7, 8):
        assert start(device_target="CPU", mode=1, seed=seed) == Runtime(device="CPU", rank=0, world_size=1)
        draws.append(draw())
    assert draws[0] == draws[1]
    assert not set(draws[0]) & set(draws[2])


def test_one_process_may_ask_to_be_distributed(caplog):
    with caplog.at_level(logging.INFO, "mindcv.runtime"):
        assert start(device_target="CPU", mode=1, distribute=True).world_size == 1
    assert [record.getMessage() for record in caplog.records] == [
        "distribute=True, but one process was started: one device is used"
    ]


@pytest.mark.parametrize(("value", "warned"), [("1", True), ("0", False), (None, False)])
def test_the_compile_cache_is_warned_about(monkeypatch, caplog, value, warned):
    monkeypatch.delenv("MS_COMPILER_CACHE_ENABLE", raising=False)
    if value is not None:
        monkeypatch.setenv("MS_COMPILER_CACHE_ENABLE", value)
    start(device_target="CPU", mode=1)
    expected = (
        "MS_COMPILER_CACHE_ENABLE=1: on CPU, a graph from MindSpore's cache can train differently from a "
        "compiled one, without a message: unset it"
    )
    assert [record.getMessage() for record in caplog.records] == [expected] * warned


def test_the_first_process_alone_is_main_and_a_cpu_sinks_no_data():
    first, second = (Runtime(device="CPU", rank=rank, world_size=2) for rank in (0, 1))
    assert (first.is_main, second.is_main) == (True, False)
    assert [Runtime(device=device).supports_sink for device in ("CPU", "GPU", "Ascend")] == [
        False,
        True,
        True,
    ]
    values = np.array([1.0, 2.0])
    assert Runtime(device="CPU").sum_over_ranks(values).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("by", "variables"),
    [
        ("mpirun", OPEN_MPI | {"OMPI_COMM_WORLD_RANK": "0"}),
        ("msrun", {"MS_ROLE": "MS_WORKER", "MS_NODE_ID": "0", "MS_WORKER_NUM": "2"}),
    ],
)
def test_several_processes_are_refused_unless_they_are_to_be_distributed(by, variables):
    ran = python(
        "from mindcv.runtime.program import run_program\n"
        "from mindcv.runtime.session import start\n"
        "print('before')\n"
        "run_program(lambda: start(device_target='CPU'))",
        **variables,
    )
    assert (ran.returncode, ran.stdout) == (2, "before\n")
    assert ran.stderr == (
        f"error: {by} started 2 processes, but distribute=False: set distribute to True, "
        "or start one process\n"
    )
