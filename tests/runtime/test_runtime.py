"""The machine and the process: what is set for it, which device it takes, how a program ends."""

import logging
import os
import random
import re
import signal
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from mindcv.runtime import environment
from mindcv.runtime.device import select_device
from mindcv.runtime.environment import accelerator_present, cpu_settings, prepare_environment
from mindcv.runtime.program import run_program
from mindcv.runtime.session import Runtime, start

ROOT = Path(__file__).parents[2]
SETTINGS = ("MS_DEV_HOST_BLOCKING_RUN", "ONEDNN_MAX_CPU_ISA", "OMP_NUM_THREADS")
LAUNCHERS = ("OMPI_", "PMI", "MPI_", "MS_", "RANK_")
OPEN_MPI = {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_SIZE": "2"}

without_accelerator = pytest.mark.skipif(accelerator_present(), reason="this machine has an accelerator")


@pytest.fixture(autouse=True)
def _pynative_and_alone(monkeypatch):
    for name in os.environ:
        if name.startswith(LAUNCHERS):
            monkeypatch.delenv(name)
    logger = logging.getLogger("mindcv")
    monkeypatch.setattr(logger, "handlers", [])
    level = logger.level
    on_kill = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, on_kill)
    logger.setLevel(level)
    ms.set_context(mode=ms.PYNATIVE_MODE)


def python(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a process that inherits neither a launcher's variables nor the settings."""
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=bare_environment() | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def bare_environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in SETTINGS and not k.startswith(LAUNCHERS)}


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


# --- how a program ends ------------------------------------------------------------------------------------


def ending(main, capsys) -> tuple[object, str]:
    """Status of a program, and what it says on standard error."""
    with pytest.raises(SystemExit) as caught:
        run_program(main)
    captured = capsys.readouterr()
    assert captured.out == ""
    return caught.value.code, captured.err


def test_a_program_that_succeeds_says_nothing(capsys):
    assert ending(lambda: None, capsys) == (0, "")


def test_a_users_mistake_is_one_line_and_status_2(capsys):
    status, said = ending(lambda: start(device_target="cpu"), capsys)
    assert status == 2
    assert said == (
        "error: device_target='cpu' is unknown: give one of auto, CPU, GPU, Ascend; did you mean 'CPU'?\n"
    )


def test_a_bug_keeps_its_traceback_and_is_status_1(capsys):
    status, said = ending(lambda: [][1], capsys)
    assert status == 1
    assert said.startswith("Traceback (most recent call last):\n")
    assert said.rstrip().endswith("IndexError: list index out of range")


def test_another_rank_lets_the_first_one_speak_and_then_says_who_it_is():
    ran = python(
        "from time import time; from mindcv.runtime.program import run_program; print(time(), flush=True)\n"
        "def main():\n    print('seen')\n    raise RuntimeError('out of paper')\n"
        "run_program(main)",
        **OPEN_MPI,
    )
    assert (ran.returncode, ran.stdout.split()[1:]) == (1, ["seen"])
    assert ran.stderr.startswith("rank 1: Traceback (most recent call last):\n")
    assert ran.stderr.rstrip().endswith("RuntimeError: out of paper")


COMPILE_A_GRAPH = "import mindspore as ms; ms.set_context(mode=0); ms.nn.ReLU()(ms.Tensor([1.0])).asnumpy()"


@pytest.mark.parametrize("before", ["pass", COMPILE_A_GRAPH], ids=["at once", "after a graph was compiled"])
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_or_kill_ends_a_program_with_one_line_and_status_130(stop, before):
    script = (
        "import time; from mindcv.runtime.program import run_program\n"
        f"def main():\n    {before}\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "run_program(main)"
    )
    program = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=bare_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        program.send_signal(stop)
        _, said = program.communicate(timeout=30)
    assert (program.returncode, said) == (130, "stopped by Ctrl-C or kill\n")


def test_a_reader_that_ends_early_ends_a_program_without_a_word():
    script = (
        "import sys; from mindcv.runtime.program import run_program; "
        "run_program(lambda: [print('x' * 80) for _ in range(10000)])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141
