"""The environment tells how a process was started; these are what the launchers set."""

import pytest

from mindcv.errors import ConfigError
from mindcv.runtime.launch import Launch, detect_launch


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, Launch(by="python")),
        ({"SLURM_JOB_ID": "1", "RANK_ID": "3", "MS_WORKER_NUM": "2"}, Launch(by="python")),
        (
            {
                "PMIX_RANK": "1",
                "PMIX_NAMESPACE": "prterun-host-7@1",
                "OMPI_COMMAND": "python",
                "OMPI_COMM_WORLD_RANK": "1",
                "OMPI_COMM_WORLD_LOCAL_RANK": "1",
                "OMPI_COMM_WORLD_NODE_RANK": "1",
                "OMPI_COMM_WORLD_SIZE": "16",
                "OMPI_COMM_WORLD_LOCAL_SIZE": "8",
            },
            Launch(
                by="mpirun", rank=1, world_size=16, local_size=8, job=("PMIX_NAMESPACE=prterun-host-7@1",)
            ),
        ),
        (
            {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_LOCAL_SIZE": "1"},
            Launch(by="mpirun"),
        ),
        (
            {"PMI_RANK": "3", "PMI_SIZE": "4", "MPI_LOCALNRANKS": "2", "MPI_LOCALRANKID": "1"},
            Launch(by="mpirun", rank=3, world_size=4, local_size=2),
        ),
        ({"PMI_RANK": "1", "PMI_SIZE": "4"}, Launch(by="mpirun", rank=1, world_size=4, local_size=4)),
        (
            {
                "MS_ROLE": "MS_WORKER",
                "MS_NODE_ID": "1",
                "MS_WORKER_NUM": "2",
                "MS_SCHED_HOST": "127.0.0.1",
                "MS_SCHED_PORT": "8118",
                "MS_TOPO_TIMEOUT": "600",
                "RANK_ID": "1",
                "RANK_SIZE": "2",
                "DEVICE_ID": "1",
                "OMP_NUM_THREADS": "1",
            },
            Launch(
                by="msrun",
                rank=1,
                world_size=2,
                job=("MS_SCHED_HOST=127.0.0.1", "MS_SCHED_PORT=8118"),
            ),
        ),
        (
            {"MS_ROLE": "MS_WORKER", "MS_NODE_ID": "", "RANK_ID": "5", "MS_WORKER_NUM": "8"},
            Launch(by="msrun", rank=5, world_size=8),
        ),
        (
            {"MS_ROLE": "MS_SCHED", "MS_WORKER_NUM": "2", "RANK_ID": "0"},
            Launch(by="msrun", world_size=2, is_scheduler=True),
        ),
        (
            {"MS_ROLE": "MS_WORKER", "MS_NODE_ID": "1", "MS_WORKER_NUM": "2"}
            | {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "9"},
            Launch(by="msrun", rank=1, world_size=2),
        ),
    ],
)
def test_the_environment_tells_who_started_a_process(variables, expected):
    assert detect_launch(variables) == expected


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OMPI_COMM_WORLD_SIZE": "x", "OMPI_COMM_WORLD_RANK": "0"}, "OMPI_COMM_WORLD_SIZE=x is not"),
        ({"OMPI_COMM_WORLD_SIZE": "9" * 5000, "OMPI_COMM_WORLD_RANK": "0"}, "OMPI_COMM_WORLD_SIZE=999"),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, "OMPI_COMM_WORLD_RANK=missing is not"),
        ({"PMI_SIZE": "2", "PMI_RANK": "2"}, "PMI_RANK=2 is not below PMI_SIZE=2"),
        ({"MS_ROLE": "MS_WORKER", "MS_NODE_ID": "-1", "MS_WORKER_NUM": "2"}, "MS_NODE_ID=-1 is not"),
        ({"MS_ROLE": "MS_WORKER", "MS_NODE_ID": "2", "MS_WORKER_NUM": "2"}, "MS_NODE_ID=2 is not below"),
        (
            {"MS_ROLE": "MS_WORKER", "RANK_ID": "0", "MS_WORKER_NUM": "0"},
            "RANK_ID=0 is not below MS_WORKER_NUM=0",
        ),
    ],
)
def test_an_environment_that_contradicts_itself_is_refused(variables, said):
    with pytest.raises(ConfigError) as caught:
        detect_launch(variables)
    assert str(caught.value).startswith(said)
    assert "start the program by mpirun or msrun" in str(caught.value)
