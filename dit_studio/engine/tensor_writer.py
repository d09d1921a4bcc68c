"""A .safetensors file written one tensor at a time, so that no more than one of them is in memory."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO

from torch import Tensor

Shapes = dict[str, tuple[int, ...]]
_FLOAT_BYTES = 4


def size_bytes(shapes: Shapes) -> int:
    """Of float32 numbers in these shapes."""
    return _FLOAT_BYTES * sum(math.prod(shape) for shape in shapes.values())


def write_tensors(
    file: BinaryIO, shapes: Shapes, read: Callable[[str], Tensor], *, metadata: Mapping[str, str]
) -> Iterator[str]:
    """Write float32 tensors in the order of their names here, and give each name when it is written.

    Source: the format of safetensors: the length of the head in 8 bytes, the head as JSON, the numbers.
    """
    head: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    start = 0
    for name, shape in shapes.items():
        end = start + _FLOAT_BYTES * math.prod(shape)
        head[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for name, shape in shapes.items():
        tensor = read(name).contiguous()
        assert tuple(tensor.shape) == shape, f"{name}: {tuple(tensor.shape)}, not {shape}"
        file.write(tensor.numpy().data.cast("B"))
        yield name
