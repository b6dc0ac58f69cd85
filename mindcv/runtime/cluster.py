"""Connect several processes to one training job.

Under msrun, and on Ascend and GPU under mpirun, MindSpore's own `init` is enough. On a CPU under mpirun it
fails: there the ranks join MindSpore's dynamic cluster, whose scheduler is one more process, which rank 0
starts. MPI broadcasts the scheduler's address, and synchronizes the ranks at the end of the run.

(MindSpore 2.9 and later can also meet at a TCP store, without a scheduler. That way is faster, but private
and new; this one works from 2.7 on.)
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
from time import monotonic, sleep
from typing import NoReturn

from mindspore import Tensor, communication, ops

from mindcv.errors import UserError
from mindcv.runtime.launch import Launch
from mindcv.runtime.quiet import quiet_stderr

__all__ = ["has_joined", "join_cluster", "leave_cluster", "serve_cluster"]

JOIN_SECONDS = 120
DEAD_AFTER_SECONDS = 15  # MindSpore's default is 30
_MPI_PREFIXES = ("OMPI_", "PMIX_", "PRTE_", "PMI_")
_PR_SET_PDEATHSIG = 1
_joined: list[int] = []  # the size of the group, once this process belongs to one


def join_cluster(launch: Launch, device: str) -> tuple[int, int]:
    """Connect this process to those that were started with it.

    Args:
        launch: How they were started.
        device: The device of each process.

    Returns:
        Rank of this process and number of processes.

    Raises:
        UserError: If MPI is missing, or the processes do not find each other.
    """
    if launch.by == "mpirun" and device == "CPU":
        _meet_through_mpi()
    try:
        with quiet_stderr():
            communication.init()
            ops.AllGather()(Tensor([0.0])).asnumpy()  # the first collective still logs every connection
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"{launch.by}'s {launch.world_size} ranks cannot meet ({reason}): see docs/launch.md"
        ) from error
    _joined.append(communication.get_group_size())
    return communication.get_rank(), communication.get_group_size()


def has_joined() -> bool:
    """Return whether other processes count on this one."""
    return bool(_joined)


def serve_cluster() -> NoReturn:
    """Act as msrun's scheduler: connect the workers to each other, and exit when they do.

    It also notices when a worker has died, and with it msrun ends the others.
    """
    os.environ.setdefault("MS_NODE_TIMEOUT", str(DEAD_AFTER_SECONDS))
    communication.init()
    raise SystemExit(0)


def leave_cluster(launch: Launch) -> NoReturn:
    """End this process after its work, without disturbing the others."""
    # From here on MindSpore's threads only log errors about ranks that have exited already.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    if launch.by == "msrun" or not _met_through_mpi():
        # In an ordinary exit the worker unregisters from the scheduler.
        raise SystemExit(0)
    # A rank that is gone cannot send what another still waits for: leave together, and not through
    # MindSpore's exit, which would look for the scheduler when that may be gone too.
    from mpi4py import MPI

    MPI.COMM_WORLD.Barrier()
    MPI.Finalize()
    os._exit(0)


def _met_through_mpi() -> bool:
    return "mpi4py.MPI" in sys.modules


def _meet_through_mpi() -> None:
    """Start MindSpore's scheduler on rank 0's host and broadcast its address by MPI."""
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise UserError(
            f"mpirun on a CPU needs mpi4py and the MPI it was built for ({error}): pip install mpi4py"
        ) from None
    world = MPI.COMM_WORLD
    rank, world_size = world.Get_rank(), world.Get_size()
    hosts = world.allgather(socket.gethostname())
    host = _address_for(hosts)
    port = _free_port() if rank == 0 else 0
    host, port = world.bcast((host, port), root=0)
    # If MPI's variables are set, MindSpore initialises through MPI, which it cannot on a CPU.
    for name in [name for name in os.environ if name.startswith(_MPI_PREFIXES)]:
        del os.environ[name]
    os.environ.update(MS_SCHED_HOST=host, MS_SCHED_PORT=str(port), MS_WORKER_NUM=str(world_size))
    if rank == 0:
        _start_scheduler()
        _wait_for_port(host, port)
    world.Barrier()
    os.environ.update(MS_ROLE="MS_WORKER", MS_NODE_ID=str(rank))


def _address_for(hosts: list[str]) -> str:
    """Return the address at which all ranks can reach rank 0, which is on the first host."""
    others = [host for host in hosts if host != hosts[0]]
    if not others:
        return "127.0.0.1"
    # A host's name often leads to 127.0.1.1 on itself; the address it would send from is the right one.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((others[0], 9))
        except OSError:
            return hosts[0]
        return probe.getsockname()[0]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


def _start_scheduler() -> None:
    """Start the process through which the ranks find each other; it ends with this one, however that ends."""
    subprocess.Popen(
        [sys.executable, "-c", "from mindspore import Tensor, communication, ops; communication.init()"],
        env={**os.environ, "MS_ROLE": "MS_SCHED"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=_die_with_parent,
    )


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait_for_port(host: str, port: int) -> None:
    """Wait until the scheduler answers: ranks that come too early retry for long, and log every attempt."""
    deadline = monotonic() + JOIN_SECONDS
    while True:
        try:
            socket.create_connection((host, port), timeout=1).close()
            return
        except OSError:
            if monotonic() > deadline:
                raise UserError(
                    f"MindSpore's scheduler does not answer at {host}:{port}: is a firewall in between? "
                    "See docs/launch.md"
                ) from None
            sleep(0.1)
