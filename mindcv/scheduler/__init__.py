"""Learning-rate schedules: one value per step, a pure function of the step and the settings."""

from mindcv.scheduler.scheduler_factory import SCHEDULERS, create_scheduler, scale_for_batch

__all__ = ["SCHEDULERS", "create_scheduler", "scale_for_batch"]
