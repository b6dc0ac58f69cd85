"""Options that are each valid and impossible together."""

import pytest

from mindcv.config import load_config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "warmup_epochs: 5\nepoch_size: 3",
            "warmup_epochs=5 leaves nothing of epoch_size=3: lower the warm-up or train longer",
        ),
        ("min_lr: 0.5\nlr: 0.1", "min_lr=0.5 is above lr=0.1: lower min_lr or raise lr"),
        ("mean: [1, 2]", "mean=[1.0, 2.0] does not fit in_channels=3: give one number per channel"),
        ("std: [9]\nin_channels: 3", "std=[9.0] does not fit in_channels=3: give one number per channel"),
        (
            "opt: sgd\nuse_nesterov: true\nmomentum: 0",
            "Nesterov momentum needs momentum above 0, but momentum=0.0: raise it",
        ),
        (
            "opt: rmsprop\nuse_nesterov: true",
            "use_nesterov=True does not fit opt=rmsprop: "
            "it is for sgd, momentum, nesterov, adam, nadam; set it to False",
        ),
        ("scheduler: step_decay", "scheduler=step_decay decays every decay_epochs: set it"),
        (
            "scheduler: multi_step_decay\nmulti_step_decay_milestones: []",
            "scheduler=multi_step_decay needs multi_step_decay_milestones: give some epochs",
        ),
        (
            "ckpt_save_policy: top_k",
            "ckpt_save_policy=top_k ranks by validation: set val_while_train to True",
        ),
        (
            "gradient_accumulation_steps: 2\ndrop_remainder: false",
            "gradient_accumulation_steps=2 needs batches of one size: set drop_remainder to True",
        ),
        (
            "progressive_sizes: [128, 160]",
            "progressive_sizes=[128, 160] and progressive_epochs=[] do not fit: "
            "give one epoch for each size but the first",
        ),
        (
            "progressive_sizes: [128, 160]\nprogressive_epochs: [90]",
            "progressive_epochs=[90] exceeds epoch_size=90: lower 90 or train longer",
        ),
        (
            "mixup: 0.2\nmixup_off_epoch: 91",
            "mixup_off_epoch=91 is above epoch_size=90: lower it, or give 0 to mix to the end",
        ),
        (
            "new_classifier: true",
            "new_classifier=True skips the classifier of a file: give ckpt_path or pretrained",
        ),
        (
            "pretrained: true\nckpt_path: a.ckpt",
            "pretrained=True and ckpt_path=a.ckpt both say what to start from: keep one (--pretrained false)",
        ),
        (
            "teacher: mnasnet_140",
            "teacher=mnasnet_140 knows nothing without its weights: give teacher_ckpt_path",
        ),
        (
            "teacher: big.onnx\nteacher_ckpt_path: big.ckpt",
            "teacher_ckpt_path=big.ckpt has no model to go into: leave it out: an ONNX file has its weights",
        ),
        (
            "teacher_ckpt_path: big.ckpt",
            "teacher_ckpt_path=big.ckpt has no model to go into: give its model as teacher",
        ),
        (
            "distill_alpha: 0.7",
            "distill_alpha=0.7 has no teacher: give one, or leave it out",
        ),
        (
            "distill_hard: true",
            "distill_hard=True has no teacher: give one, or leave it out",
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused(recipe, text, expected, message):
    path = recipe(text)
    assert message("-c", path) == f"{path}: {expected}"


def test_blame_falls_on_what_makes_the_options_wrong(recipe, message):
    path = recipe("warmup_epochs: 5\nlr: 0.1")
    assert message("-c", path, "--epoch_size", "3").startswith("command line: warmup_epochs=5 leaves nothing")
    assert message("-c", path, "--min_lr", "1").startswith("command line: min_lr=1.0 is above lr=0.1")
    assert message("--lr", "abc") == "command line: lr=abc does not fit: give a number"
    path = recipe("ckpt_save_policy: top_k")  # wrong because of a default, without the command line too
    assert message("-c", path, "--lr", "1").startswith(f"{path}: ckpt_save_policy=top_k ranks by validation")
    path = recipe("lr: -1")
    assert load_config(["-c", path, "--lr", "1"]).schedule.lr == 1
