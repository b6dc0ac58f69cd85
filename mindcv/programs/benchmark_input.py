"""Measure the images per second of a recipe's input alone, and what accelerators need of their hosts.

    python -m mindcv benchmark-input -c configs/mnasnet/mnasnet1.0_gpu.yaml --data_dir /data/imagenet
    python -m mindcv benchmark-input -c recipe.yaml --data_dir images --images 2048 --target_rate 13300

    python -m mindcv benchmark-input -c recipe.yaml --data_dir images --end_to_end 8

All options of train.py apply. The network is built with --end_to_end only, which then compares the speed of
the recipe's train step with that on a batch in memory. The first pass is not counted: it reads the files
into the system's cache, and the figures show the bytes per second that a disk or a network must deliver.
"""

import argparse
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from mindcv.config import Config, load_config
from mindcv.config.command_line import ProgramParser, positive_int
from mindcv.errors import UserError
from mindcv.files.inputs import existing_split
from mindcv.runtime.machine import processor_name, usable_cores
from mindcv.runtime.program import run_program

if TYPE_CHECKING:
    from mindcv.runtime.session import Runtime


def benchmark_input(config: Config, options: argparse.Namespace) -> None:
    """Measure the training images of a recipe, and print the figures."""
    existing_split(config.dataset.root, config.dataset.name, config.dataset.train_split)
    from mindcv import build
    from mindcv.engine.input_timing import InputTimes, time_input

    runtime = build.start_runtime(config)
    if options.end_to_end:
        compare_with_memory(config, runtime, options)
        return
    used = config.data.num_samples or options.images
    data = build.build_training_data(
        replace(config, data=replace(config.data, num_samples=min(used, options.images))), runtime
    )
    passes = []
    for number in range(options.passes + 1):
        try:
            batches = data.epoch(number).create_tuple_iterator(num_epochs=1, output_numpy=True)
            passes.append(time_input(batches))
        except RuntimeError as error:
            raise data.explain(error) from error
    times = InputTimes(passes=tuple(passes[1:]))
    read = times.bytes_read_per_image
    print(
        f"{processor_name()}, {usable_cores()} cores, {data.workers} workers: medians of {options.passes} "
        f"passes over {passes[0].images} images, batch size {data.batch_size}\n"
        f"images/s:           {times.images_per_second:,.0f}\n"
        f"CPU time per image: {1000 * times.cpu_seconds_per_image:.3f} ms, that is "
        f"{1 / times.cpu_seconds_per_image:,.0f} images/s for each core\n"
        f"first batch after:  {times.first_batch_seconds:.2f} s\n"
        f"read per image:     {'unknown' if read is None else f'{read / 1000:,.1f} kB'}\n"
        f"batch per image:    {times.bytes_delivered_per_image / 1000:,.1f} kB"
    )
    needs = times.needs(options.target_rate)
    storage = needs.read_bytes_per_second
    print(
        f"For {options.target_rate:,} images/s on {options.accelerators} accelerators, hosts need in total\n"
        f"cores:              {needs.cores:,.1f}, that is {needs.cores / options.accelerators:,.1f} for each "
        "accelerator\n"
        f"storage or network: {'unknown' if storage is None else f'{storage / 1e6:,.0f} MB/s'}\n"
        f"to the devices:     {needs.device_bytes_per_second / 1e6:,.0f} MB/s"
    )


def compare_with_memory(config: Config, runtime: "Runtime", options: argparse.Namespace) -> None:
    """Measure train steps on the recipe's images and on a batch in memory in turn, and print their ratio."""
    from mindcv import build
    from mindcv.engine.input_timing import compare_steps

    data = build.build_training_data(config, runtime)
    classes = config.model.num_classes or len(data.source.classes)
    config = replace(config, model=replace(config.model, num_classes=classes))
    needed = options.end_to_end * options.passes + 1
    if data.steps_per_epoch < needed:
        raise UserError(
            f"--end_to_end {options.end_to_end} with --passes {options.passes} takes {needed} batches, and "
            f"an epoch has {data.steps_per_epoch}: lower them or --batch_size"
        )
    step = build.build_timed_step(config, runtime, 2 * needed)
    try:
        times = compare_steps(
            step,
            build.build_synthetic_batch(config),
            data.epoch(0).create_tuple_iterator(num_epochs=1),
            steps=options.end_to_end,
            blocks=options.passes,
        )
    except RuntimeError as error:
        raise data.explain(error) from error
    images = options.end_to_end * data.batch_size
    print(
        f"{processor_name()}, {usable_cores()} cores: {config.model.model_name}, "
        f"{config.image.image_resize} px, batch size {data.batch_size}, medians of {options.passes} blocks "
        f"of {options.end_to_end} steps\n"
        f"data in memory:    {images / median(times.fixed):,.1f} images/s\n"
        f"the recipe's data: {images / median(times.real):,.1f} images/s\n"
        f"ratio:             {times.ratio:.3f}"
    )


def parse_options() -> tuple[Config, argparse.Namespace]:
    """Parse this program's own options and those of train.py."""
    parser = ProgramParser(__doc__)
    parser.add_argument("--images", type=positive_int, default=4096, help="images of a pass, at most")
    parser.add_argument("--passes", type=positive_int, default=7, help="measured passes")
    parser.add_argument(
        "--accelerators", type=positive_int, default=8, help="accelerators to compute the hosts' needs for"
    )
    parser.add_argument(
        "--target_rate",
        type=positive_int,
        default=13300,
        help="images/s that they train on together; by default what was reported for 8 Ascend 910",
    )
    parser.add_argument(
        "--end_to_end", type=positive_int, metavar="STEPS", help="train in blocks of so many steps, instead"
    )
    options, others = parser.parse_known_args()
    return load_config(others), options


def main() -> None:
    """Run the program with this process's command line."""
    run_program(lambda: benchmark_input(*parse_options()))


if __name__ == "__main__":
    main()
