"""The command `mindcv VERB ...`, also as `python -m mindcv VERB ...`."""

import sys
from pathlib import Path

from mindcv.errors import ConfigError, did_you_mean
from mindcv.runtime.program import exit_with, run_program
from mindcv.version import __version__

VERBS = {
    "train": "train a network",
    "validate": "score a checkpoint on the validation split",
    "infer": "classify images",
    "export": "write a network as an ONNX or a MindIR file",
    "convert": "convert weights between MindSpore, timm and torchvision",
    "add-checksum": "add a checksum to files of weights from elsewhere",
    "compare-runs": "compare training runs on one page",
    "summary": "print shapes, parameters and MACs of a model",
    "benchmark": "measure models and write a table",
    "compare": "compare the speed on this CPU with other libraries",
    "benchmark-input": "measure the images/s of a recipe's input alone",
    "compare-input": "compare the input of photographs with torchvision's and MindCV's",
    "find-learning-rate": "find a learning rate for a recipe",
    "average-checkpoints": "average the weights of several checkpoints",
    "measure-memory": "measure the peak memory against the batch size",
    "measure-scaling": "measure the efficiency of two ranks",
    "pack": "pack an image folder into MindRecord files",
    "check-device": "compare a device's numbers with a CPU's, and write a report",
}


def main() -> None:
    """Run the program that the first argument names, as if the rest had been given to the program itself."""
    typed = Path(sys.argv[0]).name
    typed = "python -m mindcv" if typed == "__main__.py" else typed
    verb = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if verb in ("-h", "--help"):
        verbs = "\n".join(f"  {name:<21}{text}" for name, text in VERBS.items())
        usage = (
            f"usage: {typed} VERB [options]\n\n{verbs}\n\n{typed} VERB --help lists the options of a verb."
        )
        run_program(lambda: print(usage))
    if verb == "--version":
        run_program(lambda: print(__version__))
    if verb not in VERBS:
        remedy = did_you_mean(verb, VERBS) or "; --help lists all verbs"
        exit_with(ConfigError(f"unknown verb '{verb}'{remedy}"))
    sys.argv = [f"{typed} {verb}", *sys.argv[2:]]
    _run(verb)


def _run(verb: str) -> None:
    match verb:
        case "train":
            from mindcv.programs import train as program
        case "validate":
            from mindcv.programs import validate as program
        case "infer":
            from mindcv.programs import infer as program
        case "export":
            from mindcv.programs import export as program
        case "convert":
            from mindcv.programs import convert as program
        case "add-checksum":
            from mindcv.programs import add_checksum as program
        case "compare-runs":
            from mindcv.programs import compare_runs as program
        case "summary":
            from mindcv.programs import summary as program
        case "benchmark":
            from mindcv.programs import benchmark as program
        case "compare":
            from mindcv.programs import compare as program
        case "benchmark-input":
            from mindcv.programs import benchmark_input as program
        case "compare-input":
            from mindcv.programs import compare_input as program
        case "find-learning-rate":
            from mindcv.programs import find_learning_rate as program
        case "average-checkpoints":
            from mindcv.programs import average_checkpoints as program
        case "measure-memory":
            from mindcv.programs import measure_memory as program
        case "measure-scaling":
            from mindcv.programs import measure_scaling as program
        case "pack":
            from mindcv.programs import pack as program
        case _:
            from mindcv.programs import check_device as program
    program.main()


if __name__ == "__main__":
    main()
