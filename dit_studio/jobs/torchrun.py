"""The command that starts a training process: one of ours, or torchrun with several."""

import sys
from pathlib import Path

from dit_studio.device_names import named


def local_command(folder: Path, *, device: str, resume: bool) -> list[str]:
    """What trains a run on this machine. Several devices take a process each, which torchrun starts and watches."""
    ends = ["dit_studio.jobs.training", str(folder), *(["--resume"] if resume else [])]
    processes = len(named(device))
    if processes < 2:
        return [sys.executable, "-m", *ends]
    launcher = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "--max-restarts=0"]
    return [sys.executable, "-m", *launcher, "-m", *ends]
