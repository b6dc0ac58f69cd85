"""The last check: a short training on scikit-learn's digits, with everything that train.py builds."""

from mindcv.device_check.finding import Finding
from mindcv.device_check.setting import Setting

__all__ = ["digits"]

TOP1 = 0.9


def digits(setting: Setting) -> list[Finding]:
    """Train a small network on the digits; nothing where several processes run.

    A trainer connects its process to the others, and this one has been connected already.
    """
    if setting.runtime.world_size > 1:
        return []
    trainer = setting.create_trainer()
    trainer.fit()
    best = max(result.validation.top1_accuracy for result in trainer.results if result.validation)
    return [
        Finding(
            what=f"top-1 accuracy after {len(trainer.results)} epochs",
            expected=f"at least {TOP1}",
            got=f"{best:.4f}",
            difference=max(0.0, TOP1 - best),
            tolerance=0.0,
        )
    ]
