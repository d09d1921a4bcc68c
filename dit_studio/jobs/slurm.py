"""A SLURM script that trains a run on several hosts, saves before its time is over, and goes on in the next turn."""

import shlex
from pathlib import Path

import msgspec

from dit_studio.jobs.torchrun import Cluster, plain_name, torchrun_command

_WARNED_SECONDS = 120  # before the time is over


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn of the job takes of each host, and for how long."""

    hours: int = 24
    cores: int = 8  # of each host
    has_gpus: bool = True


_SCRIPT = """\
#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --nodes={nodes}
#SBATCH --ntasks-per-node=1
{gpus}#SBATCH --cpus-per-task={cores}
#SBATCH --time={time}
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@{warned}
#SBATCH --requeue

# Submit it from a shell in which "dit-studio --version" works: sbatch hands its environment on.
# The same line starts the run and goes on from its newest checkpoint.

run={run}
export OMP_NUM_THREADS={threads}
{head}
# {warned} s before the time is over the run is asked to save and end; then the job waits for its next turn.
next_turn() {{
    mkdir -p "$run/commands" && touch "$run/commands/stop"
    wait
    if grep -q '"state":"stopped"' "$run/status.json"; then scontrol requeue "$SLURM_JOB_ID"; fi
    exit 0
}}
trap next_turn TERM

srun --cpus-per-task={cores} {command} &
wait $!
"""
_HEAD = 'head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)\n'


def slurm_script(recipe: Path, out: Path, cluster: Cluster, turn: Turn) -> str:
    """A script for sbatch. Stopped from the window, the run ends the job; out of time, it is queued again."""
    words = torchrun_command(recipe, out, cluster, head="$head")
    line = " ".join(f'"{word}"' if "=$head:" in word else shlex.quote(word) for word in words[:-1])
    nodes = cluster.host_range.replace(":", "-")
    return _SCRIPT.format(
        name=plain_name(out),
        nodes=nodes,
        gpus=f"#SBATCH --gpus-per-node={cluster.devices}\n" if turn.has_gpus else "",
        cores=turn.cores,
        time=f"{turn.hours}:00:00",
        warned=_WARNED_SECONDS,
        run=shlex.quote(str(out)),
        threads=max(1, turn.cores // cluster.devices),
        head=_HEAD if cluster.hosts > 1 else "",
        command=f'{line} "$run"',
    )
