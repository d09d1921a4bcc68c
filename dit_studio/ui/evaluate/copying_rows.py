"""A generated image and the training images nearest to it, as a row of a list."""

from dataclasses import dataclass
from pathlib import PurePath

from dit_studio.evaluation_plan import CopyList
from dit_studio.evaluation_request import Copy, NearImage


@dataclass(frozen=True)
class CopyRow:
    """`rank`: its place by closeness, from 1."""

    copy: Copy
    rank: int
    fake_path: str
    real_path: str

    @property
    def name(self) -> str:
        return str(self.copy.number)

    @property
    def title(self) -> str:
        return self.copy.image

    def tooltip(self) -> str:
        near = "\n".join(f"{near.image}: {distance_text(near)}" for near in self.copy.nearest)
        closer = "\nCloser than training images are to each other." if self.copy.is_closer else ""
        return f"{self.rank}. {self.copy.image}\nNearest training images, with their distances:\n{near}{closer}"

    def spoken(self) -> str:
        nearest = self.copy.nearest[:1]
        near = "".join(f", nearest {near.image}, distance {distance_text(near)}" for near in nearest)
        return f"{self.rank}: {self.copy.image}{near}" + (", closer than real ones" if self.copy.is_closer else "")


def rows_of(copies: CopyList, *, only_closer: bool) -> list[CopyRow]:
    """The closest first."""
    ranked = enumerate(copies.copies, 1)
    return [
        CopyRow(copy, rank, copies.fake_path, copies.real_path)
        for rank, copy in ranked
        if copy.is_closer or not only_closer
    ]


def distance_text(near: NearImage) -> str:
    """Three digits of a feature distance."""
    return f"{near.distance:,.0f}" if near.distance >= 100 else f"{near.distance:.3g}"


def short_name(near: NearImage | Copy) -> str:
    """The file alone, without its folders and its ending."""
    return PurePath(near.image.replace("\\", "/")).stem
