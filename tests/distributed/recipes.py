"""The recipes that the jobs of these tests train and validate with."""

import re

from distributed.jobs import ROOT

TRAIN, VALIDATE = ROOT / "train.py", ROOT / "validate.py"
DIGITS = ROOT / "configs/mnasnet/mnasnet0.75_digits_cpu.yaml"
CLASSES = {"train": (10, 10, 9, 9, 9, 9, 8), "val": (9, 7, 5, 4, 3, 2, 1)}  # images in each
VAL_IMAGES = 31
ENDING_SECONDS = 30
MODEL = "mnasnet_small"
RECIPE = f"""
mode: 1
device_target: CPU
distribute: True
dataset: image_folder
image_resize: 32
num_parallel_workers: 1
batch_size: 5
model: {MODEL}
num_classes: {len(CLASSES["train"])}
opt: momentum
loss_scale: 8.0
label_smoothing: 0.1
scheduler: constant
warmup_epochs: 0
min_lr: 0.0
"""
TRAINING = f"""{RECIPE}
val_while_train: True
batch_size: 8
num_samples: 32
lr: 0.08
lr_scale: linear
lr_scale_batch: 64
epoch_size: 2
"""
COMPOSITION = f"""{RECIPE}
model: tiny
image_resize: 16
gradient_accumulation_steps: 2
ema: True
ema_decay: 0.9
clip_grad: True
clip_value: 1.0
loss_scale_type: dynamic
mixup: 0.2
cutmix: 1.0
auto_augment: rand-m5-mstd0.5-inc1
re_prob: 0.5
layer_decay: 0.8
weight_decay: 0.0001
weight_decay_filter: norm_and_bias
drop_rate: 0.2
drop_path_rate: 0.2
bn_momentum: 0.9
"""
SCORE = re.compile(r"top-1 (\d\.\d{4})  top-5 (\d\.\d{4})  loss (\d+\.\d{4})\n")
GREETING = "global batch 16 = 2 x 8, peak lr 0.02\n"
SMALLEST = """
mode: 1
device_target: CPU
distribute: True
dataset: image_folder
image_resize: 16
num_parallel_workers: 1
batch_size: 2
model: mnasnet_small
opt: momentum
lr: 0.01
scheduler: constant
warmup_epochs: 0
min_lr: 0.0
epoch_size: 200
val_while_train: True
"""
