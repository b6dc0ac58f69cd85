"""Options read by flat names, as in scripts written for MindCV."""

from config import parse_args, save_args

# The names that MindCV's configuration tutorial passes to the factories.
NAMES = """
mode distribute data_dir shuffle num_samples num_parallel_workers dataset_download aug_repeats
batch_size drop_remainder mixup cutmix cutmix_prob num_classes image_resize ratio hflip vflip
color_jitter interpolation auto_augment mean std re_prob re_scale re_ratio re_value re_max_attempts
in_channels drop_rate drop_path_rate pretrained ckpt_path ema loss reduction label_smoothing
aux_factor scheduler min_lr warmup_epochs warmup_factor decay_epochs decay_rate
multi_step_decay_milestones epoch_size lr_epoch_stair opt weight_decay momentum use_nesterov
weight_decay_filter loss_scale eps ckpt_save_dir dataset_sink_mode amp_level
"""
TUTORIAL = NAMES.split()


def test_every_option_is_an_attribute_with_its_flat_name():
    args = parse_args(["--model", "mnasnet_050", "--lr", "0.1", "--dataset", "digits", "--scale", "[0.5,1]"])
    assert (args.model, args.lr, args.dataset, args.scale) == ("mnasnet_050", 0.1, "digits", [0.5, 1.0])
    missing = [name for name in TUTORIAL if not hasattr(args, name)]
    assert missing == []
    assert (args.dataset_download, args.reduction, args.amp_cast_list) == (False, "mean", None)


def test_saved_options_are_read_again(tmp_path):
    args = parse_args(["--lr", "0.25", "--opt", "adamw", "--mean", "[1,2,3]"])
    path = tmp_path / "run" / "options.yaml"
    save_args(args, str(path), rank=1)
    assert not path.exists()
    save_args(args, str(path))
    assert vars(parse_args(["-c", str(path)])) == vars(args)
