"""Compare every operator and type of a step with the platforms that MindSpore documents, Ascend and GPU.

operators.yaml is the table. Operators are collected by a process of its own, see collecting.py.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import pytest
import yaml

from tests.devices.cases import CASES, REAL_NETWORKS
from tests.devices.collecting import LOG, graph_records, log_records
from tests.support.paths import ROOT
from tests.support.processes import bare_environment

TABLE = yaml.safe_load(Path(__file__).with_name("operators.yaml").read_text(encoding="utf-8"))
OPERATORS, COLLECTIVES = TABLE["operators"], TABLE["collectives"]
ACCELERATORS = {"Ascend", "GPU"}
GRAPH, PYNATIVE = 0, 1
ELSEWHERE = {  # than in the graphs of recipes and ingredients on one rank
    *("AddExt", "MeanExt", "Ones", "OnesLike", "Range", "ReduceSum", "SubExt", "Zeros", "ZerosLike"),
    *("ReLU6", "ReLU6Grad"),  # MobileNetV2's
    *("Concat", "PowTensorScalar", "Rsqrt", "RsqrtGrad", "Split", "SplitWithSize"),  # of sync_bn
}


def collected(
    folder: Path, mode: int, *names: str, launcher: tuple[str, ...] = ()
) -> dict[str, set[tuple[str, str]]]:
    """The operators of some cases, and the types of their tensors."""
    log, graphs = folder / "log", folder / "graphs"
    graphs.mkdir()
    switches = {
        LOG: str(log),
        "MS_DEV_SAVE_GRAPHS": "1",
        "MS_DEV_SAVE_GRAPHS_PATH": str(graphs),
        "MS_DEV_DUMP_IR_PASSES": "validate",
        "MINDCV_KERNELS": "0",  # they are chosen on CPU only, and these are the graphs of accelerators
    }
    if mode == PYNATIVE:
        switches |= {"GLOG_v": "2", "MS_SUBMODULE_LOG_v": "{KERNEL:0,DEVICE:0,PYNATIVE:0}"}
    with log.open("wb") as errors:
        command = [*launcher, sys.executable, "-m", "tests.devices.collecting", str(mode), *names]
        environment = {**bare_environment(), **switches}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors, timeout=900
        )
    assert done.returncode == 0, log.read_text(encoding="utf-8", errors="replace")[-3000:]
    cases = json.loads(done.stdout)
    assert list(cases) == list(names)
    return {name: {tuple(record) for record in records} for name, records in cases.items()}


def unlisted(cases: dict[str, set[tuple[str, str]]]) -> list[str]:
    """Operators and types that the table lacks."""
    known = {name: {"", *row["types"]} for name, row in OPERATORS.items()}
    return [
        f"{name}: {operator} {kind}".rstrip()
        for name, records in cases.items()
        for operator, kind in sorted(records)
        if operator not in TABLE["structure"] and kind not in known.get(operator, ())
    ]


def documentation(name: str) -> str:
    """The documentation of a public name in MindSpore."""
    value = ms
    for part in name.split("."):
        value = getattr(value, part)
    return value.__doc__ or ""


def platforms(name: str) -> set[str]:
    """The platforms that the documentation of a public name in MindSpore lists."""
    (line,) = set(re.findall(r"Supported Platforms:\s+(.*)", documentation(name)))
    return set(re.findall(r"``(\w+)``", line))


DOCUMENTED = sorted(
    {row["documented"] for room in ("operators", "collectives") for row in TABLE[room].values()}
)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_mindspore_documents_every_operator_for_ascend_and_gpu(name):
    assert platforms(name) >= ACCELERATORS


@pytest.mark.parametrize("operator", [name for name, row in OPERATORS.items() if "says" in row])
def test_types_are_among_those_that_mindspore_lists(operator):
    row = OPERATORS[operator]
    assert row["says"] in " ".join(documentation(row["documented"]).split())
    assert {kind.lower() for kind in row["types"]} <= set(re.findall(r"\w+\d+", row["says"]))


def test_an_operator_for_one_platform_alone_is_noticed():
    assert platforms("mint.remainder") == {"Ascend"}
    assert platforms("ops.range") == {"GPU", "CPU"}


def test_operators_of_a_pynative_step_with_every_ingredient_are_documented(tmp_path):
    cases = collected(tmp_path, PYNATIVE, "everything at once")
    assert unlisted(cases) == []
    found = {operator for operator, _ in cases["everything at once"]}
    # Forward, backward, loss, dropout, clipping, optimizer and EMA.
    assert found >= {"Conv2D", "Conv2DBackpropFilter", "BatchNormGrad", "LogSoftmaxGrad", "BitwiseAnd"}
    assert found >= {"IsFinite", "Sqrt", "Assign", "AssignSub", "ReduceAll", "SumExt", "MeanExt"}


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GRAPH, PYNATIVE], ids=["graph", "pynative"])
def test_operators_of_every_recipe_and_ingredient_are_documented(tmp_path, mode):
    cases = collected(tmp_path, mode, *CASES)
    assert unlisted(cases) == []
    if mode == GRAPH:
        found = {operator for records in cases.values() for operator, _ in records}
        assert set(OPERATORS) - found == ELSEWHERE


@pytest.mark.slow
def test_operators_of_real_networks_are_documented(tmp_path):
    cases = collected(tmp_path, PYNATIVE, *REAL_NETWORKS)
    assert unlisted(cases) == []
    assert ("ReLU6Grad", "Float32") in cases["mobilenet_v2_050"]


@pytest.mark.slow
def test_what_ranks_exchange_in_a_step_is_documented(tmp_path):
    mpirun = str(Path(sys.executable).with_name("mpirun"))
    launcher = (mpirun, *(["--allow-run-as-root"] if os.geteuid() == 0 else []), "--oversubscribe", "-n", "2")
    cases = collected(tmp_path, GRAPH, "two ranks", launcher=launcher)
    exchanged = {record for record in cases["two ranks"] if record[0] in COLLECTIVES}
    assert exchanged == {("AllReduce", "Float32")}
    assert unlisted({"two ranks": cases["two ranks"] - exchanged}) == []


def test_what_ranks_exchange_between_steps_is_documented():
    text = (ROOT / "mindcv" / "runtime" / "collectives.py").read_text(encoding="utf-8")
    assert set(re.findall(r"ops\.([A-Z]\w+)", text)) == set(COLLECTIVES)


def test_operators_are_read_from_a_graph_and_from_a_log():
    graph = (
        "  %3(equiv_1) = PrimFunc_BitwiseAnd(%1, %2) {attrs}\n"
        "      : (<Tensor[Int64], (3)>, <Ref[Tensor[Int32]], (), ref_key=k>) -> (<Tensor[Int64], (3)>)\n"
        "      # Fullname with scope: (Default/BitwiseAnd-op0)\n"
    )
    assert set(graph_records(graph)) == {("BitwiseAnd", "Int64"), ("BitwiseAnd", "Int32")}
    log = [
        "[INFO] DEVICE(1,a,python):date [f.cc:1] SetKernelInfoWithMsg] Default/Add-op0 kernel attr info: "
        "input[Tensor Int32 DefaultFormat,Number Bool DefaultFormat,] output[Tensor Int8 DefaultFormat,]",
        "[DEBUG] KERNEL(1,a,python):date [f.h:1] Call] Equal call start",
        "[DEBUG] KERNEL(1,a,python):date [f.h:1] InferOutput] Op SumExt infer by simple, get output Value "
        "simple info element size : 1. The 0th shape: [const vector]{}, dtype Int64",
        "[DEBUG] KERNEL(1,a,python):date [f.h:1] InferOutput] Op Mul infer by infer, get output abstract "
        "AbstractTensor(shape: (3), element: AbstractScalar(Type: Float16, Value: ValueAny))",
    ]
    assert list(log_records("\n".join(log))) == [
        ("Add", "Int32"),
        ("Add", "Int8"),
        ("Equal", ""),
        ("SumExt", "Int64"),
        ("Mul", "Float16"),
    ]


def test_operators_and_types_without_a_row_are_named():
    assert unlisted({"case": {("Load", "Int8"), ("Mul", "Int8"), ("Mul", ""), ("New", "")}}) == [
        "case: Mul Int8",
        "case: New",
    ]
