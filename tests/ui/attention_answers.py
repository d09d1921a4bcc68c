"""What a worker answers when it is asked where heads look: near the patch, each head in another way."""

import numpy as np

from dit_studio.model_events import AttentionSeen


def seen(
    block: int,
    patch: int,
    *,
    heads: int = 6,
    grid: int = 8,
    image: int = 0,
    step: int = 1,
    elsewhere: float = 0.0,
    **_: object,
) -> AttentionSeen:
    row, column = divmod(patch, grid)
    y, x = np.mgrid[:grid, :grid]
    far = [
        np.hypot((y - row) * (1 + head % 3), (x - column) * (1 + head // 3)) / (1 + (head + block) % 4)
        for head in range(heads)
    ]
    weights = np.exp(-np.stack(far) * 5 / grid) + 0.002
    weights /= weights.sum(axis=(1, 2), keepdims=True)
    return AttentionSeen(
        block=block,
        heads=heads,
        grid=grid,
        patch=patch,
        image=image,
        step=step,
        t=640.0,
        elsewhere=tuple(elsewhere * (head + 1) / heads for head in range(heads)) if elsewhere else (),
        data=weights.astype(np.float32).tobytes(),
    )
