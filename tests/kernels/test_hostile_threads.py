"""The kernels compute the same where the system has no more threads."""

import subprocess
import sys

import pytest

from tests.support.paths import ROOT
from tests.support.processes import bare_environment

SCRIPT = """
import os, resource
import mindspore as ms
import numpy as np
from mindcv.kernels.library import library
from mindcv.models import create_model

network = create_model("mnasnet_small", num_classes=3).set_train(False)
images = ms.Tensor(np.random.default_rng(0).random((2, 3, 64, 64), np.float32))
kernels = library()
kernels.mindcv_set_threads(4)
expected = network(images).asnumpy()
kernels.mindcv_set_threads(4)  # ends the threads
if os.geteuid() == 0:  # whom no limit holds
    os.setresuid(65534, 65534, 65534)
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
for _ in range(3):
    print(np.array_equal(network(images).asnumpy(), expected), kernels.mindcv_threads(), flush=True)
os._exit(0)  # MindSpore needs a thread to end
"""


@pytest.mark.hostile
def test_results_are_the_same_where_no_thread_can_be_started():
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        env=bare_environment() | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "True 4\n" * 3
