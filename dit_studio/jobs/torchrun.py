"""The command that starts a training process: one of ours, or torchrun with several, on one host or on many."""

import os
import re
import shlex
import sys
from pathlib import Path

import msgspec

from dit_studio.device_names import named

MOST_HOSTS, MOST_DEVICES, PORT = 1024, 64, 29_500
_JOIN_SECONDS = 600  # that hosts wait for each other


def local_command(folder: Path, *, device: str, resume: bool) -> list[str]:
    """What trains a run on this machine. Several devices take a process each, which torchrun starts and watches."""
    ends = ["dit_studio.jobs.training", str(folder), *(["--resume"] if resume else [])]
    processes = len(named(device))
    if processes < 2:
        return [sys.executable, "-m", *ends]
    # no restarts: whoever watches is told why it failed, and resumes
    launcher = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "--max-restarts=0"]
    return [sys.executable, "-m", *launcher, "-m", *ends]


def local_environment(device: str) -> dict[str, str]:
    """In which it is started: several processes share the processor's cores out, where nobody said otherwise."""
    environment, processes = dict(os.environ), len(named(device))
    if processes > 1:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        environment.setdefault("OMP_NUM_THREADS", str(max(1, cores // processes)))
    return environment


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """How many take part, and how they find each other."""

    hosts: int = 1
    least_hosts: int = 0  # with so many the run goes on when others are lost; 0: with all only
    devices: int = 1  # of each host: a process takes one
    head: str = ""  # where the hosts meet: the first of them
    port: int = PORT
    restarts: int = 3  # of all processes after a failure

    @property
    def processes(self) -> int:
        return self.hosts * self.devices

    @property
    def host_range(self) -> str:
        """As torchrun takes it: "4", or "2:4"."""
        return f"{self.least_hosts}:{self.hosts}" if 0 < self.least_hosts < self.hosts else f"{self.hosts}"


def torchrun_command(recipe: Path, out: Path, cluster: Cluster, *, head: str = "") -> list[str]:
    """The words that each host is given; `head` stands for the first host's name where it is known later only."""
    if cluster.hosts == 1:
        meeting = ["--standalone"]
    else:
        meeting = [
            f"--nnodes={cluster.host_range}",
            "--rdzv-backend=c10d",
            f"--rdzv-endpoint={head or cluster.head}:{cluster.port}",
            f"--rdzv-id={plain_name(out)}",
            f"--rdzv-conf=join_timeout={_JOIN_SECONDS},read_timeout={_JOIN_SECONDS}",
        ]
    starting = [*meeting, f"--nproc-per-node={cluster.devices}", f"--max-restarts={cluster.restarts}"]
    return ["torchrun", *starting, "-m", "dit_studio", "train", str(recipe), "--out", str(out)]


def command_line(recipe: Path, out: Path, cluster: Cluster) -> str:
    """The same as one line for a shell."""
    return shlex.join(torchrun_command(recipe, out, cluster))


def plain_name(out: Path) -> str:
    """The run's name in letters that need no quoting anywhere."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", out.name).strip("-.")[:60] or "run"
