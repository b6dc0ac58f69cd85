"""Two hosts: two network namespaces with a cable between them, and msrun started on each."""

import csv
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from distributed.jobs import ROOT, Job, free_port, msrun

pytestmark = pytest.mark.slow

ADDRESSES = ("10.213.47.1", "10.213.47.2")
RECIPE = """
mode: 1
device_target: CPU
distribute: True
dataset: digits
data_dir: ./digits
image_resize: 32
num_parallel_workers: 1
num_samples: 64
batch_size: 16
model: mnasnet_small
opt: momentum
lr: 0.01
warmup_epochs: 0
epoch_size: 1
val_while_train: True
"""


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=20)


@pytest.fixture
def hosts() -> Iterator[tuple[str, str]]:
    """Names of two namespaces; each has its loopback, and an end of the cable with its address."""
    if os.geteuid() != 0:
        pytest.skip("only root may make network namespaces")
    if shutil.which("ip") is None:
        pytest.skip("ip, which makes network namespaces, is not installed: iproute2 has it")
    tag = uuid.uuid4().hex[:6]
    names = (f"host0-{tag}", f"host1-{tag}")
    with ExitStack() as stack:
        try:
            for name in names:
                ip("netns", "add", name)
                stack.callback(ip, "netns", "delete", name)  # its end of the cable goes with it
            ends = [f"v{i}-{tag}" for i in range(2)]
            ip("link", "add", ends[0], "netns", names[0], "type", "veth", "peer", ends[1], "netns", names[1])
            for name, end, address in zip(names, ends, ADDRESSES, strict=True):
                ip("-n", name, "link", "set", "lo", "up")
                ip("-n", name, "address", "add", f"{address}/24", "dev", end)
                ip("-n", name, "link", "set", end, "up")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"this system does not allow network namespaces: {error.stderr.decode().strip()}")
        yield names


def test_two_hosts_train_together_and_one_of_them_writes(hosts, tmp_path):
    port = free_port()
    with ExitStack() as stack:
        jobs = []
        for node, name in enumerate(hosts):
            folder = tmp_path / f"host{node}"
            folder.mkdir()
            (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
            nodes = {
                "local_worker_num": 1,
                "master_addr": ADDRESSES[0],
                "master_port": port,
                "node_rank": node,
            }
            command = msrun(2, ROOT / "train.py", "-c", "recipe.yaml", nodes=nodes)
            jobs.append(stack.enter_context(Job(["ip", "netns", "exec", name, *command], folder)))
        first, second = (job.finish(seconds=240) for job in jobs)
        assert (first.status, second.status) == (0, 0), f"{first}\n{second}"
    rows = history(tmp_path / "host0")
    assert [(row["epoch"], row["step"]) for row in rows] == [("1", "2")]
    assert float(rows[0]["top1"]) * 360 == pytest.approx(round(float(rows[0]["top1"]) * 360), abs=1e-3)
    assert not (tmp_path / "host1" / "ckpt").exists()
    said = first.out + first.err + second.out + second.err
    assert said.count("global batch 32 = 2 x 16, peak lr 0.01\n") == 1
    assert said.count("epoch 1/1 ") == 1


def history(folder: Path) -> list[dict[str, str]]:
    with (folder / "ckpt" / "history.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))
