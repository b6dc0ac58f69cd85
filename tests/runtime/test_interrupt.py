"""Signals that ask a run to stop."""

import os
import signal

import pytest

from mindcv.runtime.interrupt import SIGNALS, StopRequest


@pytest.mark.parametrize("number", SIGNALS)
def test_each_signal_is_a_request_to_stop(number):
    request = StopRequest(speaks=False)
    try:
        assert not request()
        os.kill(os.getpid(), number)
        assert request()
    finally:
        request.stop_listening()


def test_a_run_that_nohup_has_started_outlives_its_terminal():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    request = StopRequest(speaks=False)
    try:
        assert not request()
        os.kill(os.getpid(), signal.SIGHUP)
        assert not request()
    finally:
        request.stop_listening()
        signal.signal(signal.SIGHUP, before)
