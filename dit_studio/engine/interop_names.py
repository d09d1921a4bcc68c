"""The two names of every weight: as the published code has it, which is ours, and as diffusers does.

A mapping gives, for every name of one side, the pieces of the other side that it is made of, one after the other.
Only adaLN-Zero blocks with full attention have names in both.
"""

from collections.abc import Iterator
from typing import NamedTuple

PIPELINE_NULL_CLASS = 1000  # what DiTPipeline takes for "no class", whatever a model's classes are

Pieces = dict[str, tuple["Piece", ...]]


class Piece(NamedTuple):
    """Rows of a tensor: `part` of `parts` equal ones, or those from `start` to `stop`."""

    name: str
    part: int = 0
    parts: int = 1
    start: int | None = None
    stop: int | None = None


def to_published(*, depth: int, rows: int, classes: int | None = None) -> Pieces:
    """What each of our names is made of in a diffusers state. The position embedding is not in it.

    `rows`: of its class table. `classes`: how many of these are classes, if the last row alone is "no class".
    """
    pieces: Pieces = {}
    for ours, theirs in _same(depth):
        pieces[ours] = (Piece(theirs),)
    for block, part in _block_parts(depth):
        names = (f"transformer_blocks.{block}.attn1.to_{letter}.{part}" for letter in "qkv")
        pieces[f"blocks.{block}.attn.qkv.{part}"] = tuple(Piece(name) for name in names)
    table = _embedders(0)["y_embedder.embedding_table.weight"]
    whole = (Piece(table),)
    cut = (Piece(table, start=0, stop=classes), Piece(table, start=rows - 1, stop=rows))
    pieces["y_embedder.embedding_table.weight"] = whole if classes is None else cut
    for ours, theirs in _embedders(0).items():
        if "y_embedder" not in ours:
            pieces[ours] = (Piece(theirs),)
    return pieces


def to_diffusers(*, depth: int, classes: int, rows: int, has_null_class: bool) -> Pieces:
    """What each of diffusers' names is made of in our state.

    `rows`: of its class table, "no class" in each after the classes; of a model without it these are the first class.
    """
    pieces: Pieces = {}
    for ours, theirs in _same(depth):
        pieces[theirs] = (Piece(ours),)
    for block, part in _block_parts(depth):
        for number, letter in enumerate("qkv"):
            piece = Piece(f"blocks.{block}.attn.qkv.{part}", part=number, parts=3)
            pieces[f"transformer_blocks.{block}.attn1.to_{letter}.{part}"] = (piece,)
    for block in range(depth):
        for ours, theirs in _embedders(block).items():
            pieces[theirs] = (
                _class_table(ours, classes, rows, has_null_class=has_null_class)
                if "y_embedder" in ours
                else (Piece(ours),)
            )
    return pieces


def copies(*, depth: int) -> Iterator[tuple[str, str]]:
    """(the first, a copy) for each of the embedders that diffusers keeps in every block."""
    first = _embedders(0)
    for block in range(1, depth):
        for ours, theirs in _embedders(block).items():
            yield first[ours], theirs


def _class_table(name: str, classes: int, rows: int, *, has_null_class: bool) -> tuple[Piece, ...]:
    null = Piece(name, start=classes, stop=classes + 1) if has_null_class else Piece(name, start=0, stop=1)
    return (Piece(name, start=0, stop=classes), *[null] * (rows - classes))


def _same(depth: int) -> Iterator[tuple[str, str]]:
    """(ours, diffusers') where a tensor is the same on both sides, and in one place."""
    for part in ("weight", "bias"):
        yield f"x_embedder.proj.{part}", f"pos_embed.proj.{part}"
        yield f"final_layer.adaLN_modulation.1.{part}", f"proj_out_1.{part}"
        yield f"final_layer.linear.{part}", f"proj_out_2.{part}"
    for block, part in _block_parts(depth):
        ours, theirs = f"blocks.{block}", f"transformer_blocks.{block}"
        yield f"{ours}.adaLN_modulation.1.{part}", f"{theirs}.norm1.linear.{part}"
        yield f"{ours}.attn.proj.{part}", f"{theirs}.attn1.to_out.0.{part}"
        yield f"{ours}.mlp.fc1.{part}", f"{theirs}.ff.net.0.proj.{part}"
        yield f"{ours}.mlp.fc2.{part}", f"{theirs}.ff.net.2.{part}"


def _block_parts(depth: int) -> Iterator[tuple[int, str]]:
    for block in range(depth):
        yield block, "weight"
        yield block, "bias"


def _embedders(block: int) -> dict[str, str]:
    """Ours once, and diffusers' in each block."""
    place = f"transformer_blocks.{block}.norm1.emb"
    names = {"y_embedder.embedding_table.weight": f"{place}.class_embedder.embedding_table.weight"}
    for part in ("weight", "bias"):
        names[f"t_embedder.mlp.0.{part}"] = f"{place}.timestep_embedder.linear_1.{part}"
        names[f"t_embedder.mlp.2.{part}"] = f"{place}.timestep_embedder.linear_2.{part}"
    return names
