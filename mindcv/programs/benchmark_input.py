"""Measure the images per second of a recipe's input alone, and what accelerators need of their hosts.

    python -m mindcv benchmark-input -c configs/mnasnet/mnasnet1.0_gpu.yaml --data_dir /data/imagenet
    python -m mindcv benchmark-input -c recipe.yaml --data_dir images --images 2048 --target_rate 13300

All options of train.py apply. The network is not built. The first pass is not counted: it reads the files
into the system's cache, and the figures show the bytes per second that a disk or a network must deliver.
"""

import argparse
from dataclasses import replace

from mindcv.config import Config, load_config
from mindcv.config.command_line import ProgramParser, positive_int
from mindcv.files.inputs import existing_folder
from mindcv.runtime.machine import processor_name, usable_cores
from mindcv.runtime.program import run_program


def benchmark_input(config: Config, options: argparse.Namespace) -> None:
    """Measure the training images of a recipe, and print the figures."""
    existing_folder(config.dataset.root, config.dataset.name, config.dataset.train_split)
    from mindcv import build
    from mindcv.engine.input_timing import InputTimes, time_input

    runtime = build.start_runtime(config)
    used = config.data.num_samples or options.images
    data = build.build_training_data(
        replace(config, data=replace(config.data, num_samples=min(used, options.images))), runtime
    )
    passes = []
    for number in range(options.passes + 1):
        batches = data.epoch(number).create_tuple_iterator(num_epochs=1, output_numpy=True)
        try:
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
    options, others = parser.parse_known_args()
    return load_config(others), options


def main() -> None:
    """Run the program with this process's command line."""
    run_program(lambda: benchmark_input(*parse_options()))


if __name__ == "__main__":
    main()
