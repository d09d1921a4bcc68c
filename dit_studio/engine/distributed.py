"""The processes that train, draw or measure together: who this one is, and how it speaks with the others.

torchrun starts them and says in the environment who each one is; alone, a process is a world of one.
"""

from dataclasses import dataclass

import torch.distributed as dist


@dataclass(frozen=True)
class World:
    """Who this process is among those that work together."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0  # on this machine
    local_size: int = 1
    control: "dist.ProcessGroup | None" = None  # Gloo, for words between the processes, whatever the device

    @property
    def is_main(self) -> bool:
        """This process speaks for all: it alone writes the run folder."""
        return self.rank == 0
