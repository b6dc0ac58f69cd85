"""Export a finished network as an ONNX or a MindIR file, checked against the network on the spot.

    python export.py --ckpt_path ckpt/mnasnet_075_best.ckpt --format onnx --output mnasnet.onnx

Options that the checkpoint keeps of its training are used; all options of train.py can be given besides.
"""

import argparse

from mindcv import build
from mindcv.config import Config
from mindcv.export import (
    ExportRequest,
    expect,
    export_mindir,
    export_onnx,
    measure,
    quantize_onnx,
    table,
    write_report,
)
from mindcv.runtime.program import run_program


def export(config: Config, classes: list[str], request: ExportRequest) -> None:
    """Write the file, say how near its logits are to the network's, and quantise it if that is asked for."""
    runtime = build.start_runtime(config)
    network = build.build_exported_network(config, classes, runtime)
    images = build.build_image_format(config, uint8_input=request.uint8_input)
    reference = expect(network, images, build.build_sample_images(config))
    metadata = build.export_metadata(config, classes, images)
    path = request.path
    if request.format == "mindir":
        cell = build.normalized(config, network) if request.uint8_input else network
        difference = export_mindir(cell, path, reference, metadata=metadata)
    else:
        difference = export_onnx(network, path, reference, metadata=metadata, opset=request.operators)
    print(f"{path}: logits differ from the network's by at most {difference:.1e} ({reference})")
    if request.quantize:
        calibration, scored = build.build_quantization_images(config, classes, runtime, request.calibration)
        quantize_onnx(path, request.int8_path, images, calibration)
        results = measure([path, request.int8_path], images, scored)
        print(table(results, images.size))
        if request.report is not None:
            facts = {"model": config.model.model, "size": images.size, "calibration": request.calibration}
            write_report(request.report, results, **facts)


def parse_options() -> tuple[Config, list[str], argparse.Namespace]:
    """Read this program's own options, and leave the others to those of train.py."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--format", choices=("onnx", "mindir"), required=True, help="kind of file")
    parser.add_argument("--output", required=True, help="file to write")
    parser.add_argument("--opset", type=int, help="version of ONNX's operators, 13 to 21; by default 20")
    parser.add_argument(
        "--uint8_input", action="store_true", help="take raw uint8 images, and normalise inside"
    )
    parser.add_argument("--quantize", action="store_true", help="write an INT8 version, *_int8.onnx, too")
    parser.add_argument("--calibration_images", type=int, help="for its ranges; by default 128")
    parser.add_argument("--report", help="JSON file for accuracy, size and latency of both versions")
    options, others = parser.parse_known_args()
    return *build.parse_stored_args(others), options


def main() -> None:
    """Run the program with this process's command line."""
    config, classes, options = parse_options()
    run_program(lambda: export(config, classes, ExportRequest(**vars(options))))


if __name__ == "__main__":
    main()
