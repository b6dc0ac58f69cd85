"""Run one step of training, evaluation and inference per case, and print which operators ran on which types.

It is a program of its own, because MindSpore reads the switches of its log and of its saved graphs at import:

    python -m tests.devices.collecting MODE CASE...

In graph mode the operators are those of MindSpore's intermediate representation after its last pass that is
the same for every device; in PyNative mode those that its debug log names, forward, backward and update.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from mindcv.runtime.launch import detect_launch
from tests.devices.cases import CASES, REAL_NETWORKS, TWO_RANKS, register_networks, run_case

LOG = "OPERATORS_LOG"  # variable: the file that standard error goes to
Record = tuple[str, str]  # operator, and the type of a tensor that it takes or returns, "" where unknown

NODE = re.compile(r"^ +%\d+\(.*?\) = (?:PrimFunc_)?(\w+)\(")
TENSOR = re.compile(r"Tensor\[(\w+)\]")
KERNEL = re.compile(r"\] \S*?(\w+)-op\d+ kernel attr info: input\[(.*?)\] output\[(.*?)\]")
KERNEL_TENSOR = re.compile(r"Tensor (\w+)")
CALLED = re.compile(r"\] Call\] (\w+) call start")
INFERRED = re.compile(r"InferOutput\] Op (\w+) infer by (.*)")
RETURNED = re.compile(r"(?:dtype|Type:) (\w+)")


def graph_records(text: str) -> Iterator[Record]:
    """Read the operators of a saved graph: a line with the call is followed by one with the types."""
    lines = text.splitlines()
    for line, types in pairwise(lines):
        if (node := NODE.match(line)) and types.strip().startswith(": ("):
            yield from ((node[1], found) for found in TENSOR.findall(types))


def log_records(text: str) -> Iterator[Record]:
    """Read the operators that a log says have been compiled or called, one by one.

    Of called ones it gives the types of the results at most.
    """
    for line in text.splitlines():
        if found := KERNEL.search(line):
            yield from ((found[1], kind) for kind in KERNEL_TENSOR.findall(found[2] + found[3]))
        elif found := CALLED.search(line):
            yield found[1], ""
        elif found := INFERRED.search(line):
            yield from ((found[1], kind) for kind in RETURNED.findall(found[2]))


def collect(mode: int, names: list[str]) -> dict[str, list[Record]]:
    """Run the cases, and return the records of each, without duplicates."""
    graphs = Path(os.environ["MS_DEV_SAVE_GRAPHS_PATH"])
    found = {}
    with Path(os.environ[LOG]).open(encoding="utf-8", errors="replace") as log:
        for name in names:
            runtime = run_case(mode, {**CASES, **REAL_NETWORKS, **TWO_RANKS}[name])
            records = set(log_records(log.read()))
            # Each of several ranks writes to a folder of its own.
            own = graphs / f"rank_{runtime.rank}" if runtime.world_size > 1 else graphs
            for path in own.rglob("*validate*.ir"):
                records.update(graph_records(path.read_text(encoding="utf-8")))
                path.unlink()
            found[name] = sorted(records)
    return found


def main() -> None:
    """Read the command line, and print the records as JSON on standard output, from the first rank."""
    mode, *names = sys.argv[1:]
    register_networks()
    found = collect(int(mode), names)
    if detect_launch().rank == 0:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
