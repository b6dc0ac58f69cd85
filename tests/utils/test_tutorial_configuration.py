"""MindCV's configuration tutorial, statement by statement, with an MnasNet and CIFAR-10's files."""

import numpy as np
import pytest

from tests.support.cifar_files import write_cifar10

SIZE = 32


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder: an empty one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_configuration(folder):
    """The functions that the tutorial calls take what ``args`` answers."""
    (folder / "recipe.yaml").write_text(
        "mode: 1\ndistribute: False\ndataset: cifar10\ndata_dir: ./imagenet2012\nshuffle: True\n"
        "dataset_download: False\nbatch_size: 8\ndrop_remainder: True\nnum_parallel_workers: 1\n"
        f"image_resize: {SIZE}\ncolor_jitter: [0.4, 0.4, 0.4]\nmodel: mnasnet_050\nnum_classes: 10\n"
        "pretrained: False\nloss: CE\nlabel_smoothing: 0.1\nscheduler: cosine_decay\nmin_lr: 0.0\nlr: 0.01\n"
        "warmup_epochs: 0\ndecay_epochs: 2\nepoch_size: 2\nopt: momentum\n"
        "weight_decay_filter: norm_and_bias\nmomentum: 0.9\nweight_decay: 0.00007\n"
        "loss_scale: 1024\nuse_nesterov: False\n"
    )
    write_cifar10(folder / "data")

    from config import parse_args
    from mindcv.data import create_dataset, create_loader, create_transforms
    from mindcv.loss import create_loss
    from mindcv.models import create_model
    from mindcv.optim import create_optimizer
    from mindcv.scheduler import create_scheduler

    args = parse_args(["-c", "recipe.yaml", "--data_dir", "./data"])
    assert args.data_dir == "./data"
    dataset_train = create_dataset(
        name=args.dataset,
        root=args.data_dir,
        split="train",
        shuffle=args.shuffle,
        num_samples=args.num_samples,
        num_shards=None,
        shard_id=None,
        num_parallel_workers=args.num_parallel_workers,
        download=args.dataset_download,
        num_aug_repeats=args.aug_repeats,
    )
    transform_list = create_transforms(
        dataset_name=args.dataset,
        is_training=True,
        image_resize=args.image_resize,
        scale=args.scale,
        ratio=args.ratio,
        hflip=args.hflip,
        vflip=args.vflip,
        color_jitter=args.color_jitter,
        interpolation=args.interpolation,
        auto_augment=args.auto_augment,
        mean=args.mean,
        std=args.std,
        re_prob=args.re_prob,
        re_scale=args.re_scale,
        re_ratio=args.re_ratio,
        re_value=args.re_value,
        re_max_attempts=args.re_max_attempts,
    )
    loader_train = create_loader(
        dataset=dataset_train,
        batch_size=args.batch_size,
        drop_remainder=args.drop_remainder,
        is_training=True,
        mixup=args.mixup,
        cutmix=args.cutmix,
        cutmix_prob=args.cutmix_prob,
        num_classes=args.num_classes,
        transform=transform_list,
        target_transform=None,
        num_parallel_workers=args.num_parallel_workers,
    )
    num_batches = loader_train.get_dataset_size()
    network = create_model(
        model_name=args.model,
        num_classes=args.num_classes,
        in_channels=args.in_channels,
        drop_rate=args.drop_rate,
        drop_path_rate=args.drop_path_rate,
        pretrained=args.pretrained,
        checkpoint_path=args.ckpt_path,
        ema=args.ema,
    )
    loss = create_loss(
        name=args.loss,
        reduction=args.reduction,
        label_smoothing=args.label_smoothing,
        aux_factor=args.aux_factor,
    )
    lr_scheduler = create_scheduler(
        num_batches,
        scheduler=args.scheduler,
        lr=args.lr,
        min_lr=args.min_lr,
        warmup_epochs=args.warmup_epochs,
        warmup_factor=args.warmup_factor,
        decay_epochs=args.decay_epochs,
        decay_rate=args.decay_rate,
        milestones=args.multi_step_decay_milestones,
        num_epochs=args.epoch_size,
        lr_epoch_stair=args.lr_epoch_stair,
    )
    optimizer = create_optimizer(
        network.trainable_params(),
        opt=args.opt,
        lr=lr_scheduler,
        weight_decay=args.weight_decay,
        momentum=args.momentum,
        nesterov=args.use_nesterov,
        weight_decay_filter=args.weight_decay_filter,
        checkpoint_path="",
        eps=args.eps,
    )
    assert (num_batches, len(lr_scheduler)) == (5, 10)
    images, labels = next(loader_train.create_tuple_iterator())
    network.set_train(False)
    assert np.isfinite(float(loss(network(images), labels)))
    assert len(optimizer.parameters) == len(network.trainable_params())
