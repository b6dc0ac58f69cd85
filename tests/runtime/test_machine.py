"""The process and its machine."""

import subprocess
import sys
from time import perf_counter


def test_a_process_knows_how_long_it_has_been_running():
    script = (
        "import time; from mindcv.runtime.machine import seconds_since_start as s; a = s(); "
        "time.sleep(0.3); b = s(); print(a, b)"
    )
    started = perf_counter()
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    first, second = map(float, ran.stdout.split())
    assert 0 < first <= second - 0.29 < perf_counter() - started
