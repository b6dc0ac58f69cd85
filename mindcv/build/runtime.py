"""Start the process of a run: its device, its mode and its seed."""

from mindcv.build.agreement import compare_options
from mindcv.config import Config
from mindcv.runtime.session import Runtime, start

__all__ = ["start_runtime"]


def start_runtime(config: Config) -> Runtime:
    """Choose device and mode, join the other processes, and seed this one.

    Raises:
        UserError: If the processes cannot meet, or do not have the same options.
    """
    system = config.system
    runtime = start(
        device_target=system.device_target,
        mode=system.mode,
        distribute=config.parallel.distribute,
        seed=system.seed,
    )
    compare_options(config, runtime)
    return runtime
