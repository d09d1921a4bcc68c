"""What may be wrong with a comparison, in words: a pure function of a few facts about its two sides."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

Level = Literal["red", "amber", "note"]
_LEVELS: tuple[Level, ...] = ("red", "amber", "note")

FRECHET = frozenset({"fid", "sfid", "fd"})
NEIGHBOURS = frozenset({"precision", "recall", "density", "coverage"})

RED_BELOW, AMBER_BELOW = 2048, 10_000  # images, for a Fréchet distance
GO_BY_KERNELS = "Go by a kernel distance (KID, KD or MMD)"  # where there are images for one
_IS_SPLIT_LEAST = 5000
_UNEQUAL_ABOVE = 1.25  # ratio of the two sides' numbers
_UPSCALED_ABOVE = 1.2
UNEQUAL_NUMBERS = "others beside it of"  # in the caution
_LOSSY = frozenset({"jpeg", "webp"})


class Caution(NamedTuple):
    level: Level
    metric: str  # that it is about; "" for all
    message: str


@dataclass(frozen=True, kw_only=True)
class Side:
    """What is known of the images, or of the statistics that stand for them."""

    n: int  # that were measured; 0: the file does not say
    images: int = 0  # that there are, where more of them are than were measured
    is_sorted_by_class: bool = False
    formats: frozenset[str] = frozenset()  # "png", "jpeg", … in small letters; empty for arrays and statistics
    sizes: frozenset[tuple[int, int]] = frozenset()  # height, width as they were decoded
    duplicates: int = 0
    is_statistics: bool = False  # read from a file, not extracted now
    has_images: bool = True  # beside such statistics, which are all that a Fréchet distance needs
    protocol: str = ""  # of those statistics; empty if the file does not say
    weights_sha256: str = ""  # of the extractor that made them; empty if the file does not say
    is_spatial_order_known: bool = True  # of mu_s: height, width, channel
    left_out: str = ""  # a sentence about files that could not be used
    colour: Literal["grey", "colour", ""] = ""  # of nearly all of its images; empty: not known, or mixed


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A comparison that is about to be shown."""

    real: Side
    generated: Side
    metrics: tuple[str, ...]  # "fid", "sfid", "fd", "is", "kid", "mmd", "cmmd", "precision", …
    protocol: str
    weights_sha256: str = ""
    are_weights_verified: bool = True
    input_size: int = 299  # of the extractor, in pixels
    is_imagenet: bool = False
    splits: int = 10  # of the Inception Score
    subset_size: int = 0  # asked for, of KID by subsets; 0 over all pairs
    is_bandwidth_of_reference: bool = True  # that of MMD was frozen from this reference
    arithmetic: str = "fp32"  # of the extractor
    model_weights: Literal["ema", "raw", ""] = ""  # of the model that drew the images, where one did
    cfg: float = 1.0
    trained_on: str = ""  # the images that the model was trained on, where they are known not to be the reference's
    compared_n: tuple[int, ...] = ()  # of the results that are shown beside this one


def warnings_for(facts: Comparison) -> list[Caution]:
    """Each a sentence with the number, the limit and what to do, the worst first."""
    found = [caution for check in _CHECKS for caution in check(facts)]
    return sorted(found, key=lambda caution: _LEVELS.index(caution.level))


# ------------------------------------------------------------------------------------------------- numbers


def _too_few(facts: Comparison) -> Iterator[Caution]:
    has_kernels = facts.real.has_images and facts.generated.has_images
    remedy = f"{GO_BY_KERNELS}, or take more images." if has_kernels else "Take more images."
    for metric in _asked(facts, FRECHET):
        for side, name in ((facts.generated, "generated"), (facts.real, "reference")):
            if 0 < side.n < RED_BELOW:
                yield Caution(
                    "red", metric,
                    f"{side.n:,} {name} images are too few: below {RED_BELOW:,} the bias is larger than what models "
                    f"differ by. {remedy}",
                )  # fmt: skip
            elif 0 < side.n < AMBER_BELOW:
                yield Caution(
                    "amber", metric,
                    f"{side.n:,} {name} images: below {AMBER_BELOW:,} it is larger than published figures by its bias. "
                    "Compare only with results of as many images.",
                )  # fmt: skip


def _unequal(facts: Comparison) -> Iterator[Caution]:
    real, generated = facts.real.n, facts.generated.n
    if real and generated and max(real, generated) > _UNEQUAL_ABOVE * min(real, generated):
        for metric in _asked(facts, NEIGHBOURS):
            yield Caution(
                "amber", metric,
                f"{real:,} reference and {generated:,} generated images: it depends on both numbers. "
                "Take as many of each.",
            )  # fmt: skip
    yield from unequal_numbers(generated, facts.compared_n)


def unequal_numbers(generated: int, compared: Iterable[int]) -> Iterator[Caution]:
    """If results that are shown beside one another are of other numbers of images."""
    others = sorted({n for n in compared if n != generated})
    if others:
        counts = ", ".join(f"{n:,}" for n in others)
        yield Caution(
            "amber", "",
            f"This result is of {generated:,} generated images, {UNEQUAL_NUMBERS} {counts}. "
            "Figures change with the number; sample as many for each.",
        )  # fmt: skip


def _unknown_number(facts: Comparison) -> Iterator[Caution]:
    if not facts.real.n:
        yield Caution(
            "note",
            "",
            "The statistics do not say of how many images they are. Ask whoever made them, or make them here.",
        )


def _copying(facts: Comparison) -> Iterator[Caution]:
    there = max(facts.real.n, facts.real.images)
    if facts.model_weights and 0 < there < AMBER_BELOW:
        yield Caution(
            "note", "",
            f"With {there:,} real images, copying them is rewarded by every distance. "
            "Look at the nearest training images.",
        )  # fmt: skip


def _clamped_subsets(facts: Comparison) -> Iterator[Caution]:
    smaller = min(facts.real.n or facts.generated.n, facts.generated.n)
    if "kid" in facts.metrics and facts.subset_size > smaller:
        yield Caution(
            "note", "kid",
            f"Subsets of {facts.subset_size:,} were asked for and are of {smaller:,}, all that there are. "
            "KID over all pairs needs no subsets.",
        )  # fmt: skip


def _duplicates(facts: Comparison) -> Iterator[Caution]:
    for side, name in ((facts.generated, "generated"), (facts.real, "reference")):
        if side.duplicates:
            yield Caution(
                "amber", "",
                f"{side.duplicates:,} of {side.n:,} {name} images are there more than once. Remove them, or draw "
                "with seeds that differ.",
            )  # fmt: skip


# ------------------------------------------------------------------------------------------------- Inception Score


def _inception_score(facts: Comparison) -> Iterator[Caution]:
    if "is" not in facts.metrics:
        return
    if not facts.is_imagenet:
        yield Caution(
            "amber",
            "is",
            "It scores how surely ImageNet's 1,000 classes are told apart; of other images it says little.",
        )
    if facts.generated.n < _IS_SPLIT_LEAST * facts.splits:
        yield Caution(
            "amber", "is",
            f"{facts.generated.n // facts.splits:,} images a split: below {_IS_SPLIT_LEAST:,} it is too low. "
            "Take 50,000 images for published figures.",
        )  # fmt: skip
    if facts.generated.is_sorted_by_class:
        yield Caution(
            "note", "is",
            "The images are sorted by class. They are shuffled here; evaluators that split them as they come give "
            "a far lower score. Shuffle them before you publish the file.",
        )  # fmt: skip


# ------------------------------------------------------------------------------------------------- files


def _left_out(facts: Comparison) -> Iterator[Caution]:
    for side, name in ((facts.real, "reference"), (facts.generated, "generated")):
        if side.left_out:
            remedy = "Mend or remove these files and evaluate again."
            yield Caution("amber", "", f"Of the {name} images {side.left_out} The figures are of the rest. {remedy}")


def _formats(facts: Comparison) -> Iterator[Caution]:
    real, generated = facts.real.formats, facts.generated.formats
    if real and generated and bool(real & _LOSSY) != bool(generated & _LOSSY):
        yield Caution(
            "amber", "",
            f"{_joined(real)} against {_joined(generated)}: the traces of compression alone make a distance. "
            "Save both sides in the same way.",
        )  # fmt: skip
    for side, name in ((facts.real, "reference"), (facts.generated, "generated")):
        if side.formats & _LOSSY and side.formats - _LOSSY:
            yield Caution(
                "note", "", f"The {name} images are mixed: {_joined(side.formats)}. Save all of them in the same way."
            )


def _sizes(facts: Comparison) -> Iterator[Caution]:
    real, generated = facts.real.sizes, facts.generated.sizes
    if real and generated and real != generated:
        yield Caution(
            "amber", "",
            f"Reference images of {_size_words(real)} against generated ones of {_size_words(generated)}: resizing "
            "alone makes a distance. Prepare the reference at the model's size.",
        )  # fmt: skip
    for side, name in ((facts.real, "reference"), (facts.generated, "generated")):
        smallest = min((min(size) for size in side.sizes), default=facts.input_size)
        if facts.input_size > _UPSCALED_ABOVE * smallest:
            yield Caution(
                "note", "",
                f"The {name} images, {_size_words(side.sizes)}, are enlarged to {facts.input_size}: the extractor "
                "sees blur on both sides, and published figures are of other sizes.",
            )  # fmt: skip


def _colours(facts: Comparison) -> Iterator[Caution]:
    real, generated = facts.real.colour, facts.generated.colour
    if {real, generated} == {"grey", "colour"}:
        words = {"grey": "grey", "colour": "in colour"}
        yield Caution(
            "red", "",
            f"The generated images are {words[generated]}, the reference is {words[real]}: that alone makes most of a "
            "distance. Measure against images in the model's colours.",
        )  # fmt: skip


# ------------------------------------------------------------------------------------------------- protocol


def _statistics(facts: Comparison) -> Iterator[Caution]:
    for side, name in ((facts.real, "reference"), (facts.generated, "generated images")):
        if not side.is_statistics:
            continue
        if not side.protocol:
            yield Caution(
                "amber", "",
                f"The statistics of the {name} do not say how they were made; here it is {facts.protocol}. "
                "If they are not alike, the distance means nothing.",
            )  # fmt: skip
        elif side.protocol != facts.protocol:
            yield Caution(
                "red", "",
                f"The statistics of the {name} were made as {side.protocol}, these as {facts.protocol}: the distance "
                "means nothing. Choose the same protocol.",
            )  # fmt: skip
        if side.weights_sha256 and facts.weights_sha256 and side.weights_sha256 != facts.weights_sha256:
            yield Caution(
                "red", "",
                f"The statistics of the {name} are of an extractor with other weights ({side.weights_sha256[:8]}, here "
                f"{facts.weights_sha256[:8]}): the distance means nothing. Use the same weights.",
            )  # fmt: skip
        if "sfid" in facts.metrics and not side.is_spatial_order_known:
            yield Caution(
                "amber", "sfid",
                f"The statistics of the {name} do not say in what order the spatial features are. Read as ADM's, "
                "height, width, channel; of another order it would be off by hundreds.",
            )  # fmt: skip


def _extractor(facts: Comparison) -> Iterator[Caution]:
    if not facts.are_weights_verified:
        yield Caution(
            "amber", "",
            "The extractor's weights are not the published file. Figures compare with each other only, not with "
            "published ones; see Model files.",
        )  # fmt: skip
    if facts.arithmetic != "fp32":
        yield Caution(
            "note",
            "",
            f"Features were extracted in {facts.arithmetic}; published figures are of fp32. Expect small shifts.",
        )
    if "mmd" in facts.metrics and not facts.is_bandwidth_of_reference:
        yield Caution(
            "red", "mmd",
            "The bandwidth is of another reference, and results with different bandwidths do not compare. Compute it "
            "from this one.",
        )  # fmt: skip


def _model(facts: Comparison) -> Iterator[Caution]:
    if facts.model_weights == "raw":
        yield Caution(
            "amber",
            "",
            "The images are of the raw weights. Published figures are of averaged ones (EMA), which are better.",
        )
    if facts.trained_on:
        yield Caution(
            "amber", "",
            f"The model was trained on other images than the reference's: on {facts.trained_on}. A distance then shows "
            "how the two sets differ, too. Measure against its own data set, or compare with that in mind.",
        )  # fmt: skip
    if facts.cfg > 1:
        yield Caution(
            "note", "",
            f"CFG {facts.cfg:g} trades variety for likeness: FID is best at a low scale. Compare at the same.",
        )  # fmt: skip


_CHECKS = (
    _statistics, _too_few, _unequal, _left_out, _formats, _sizes, _colours, _duplicates, _inception_score, _extractor,
    _model, _clamped_subsets, _unknown_number, _copying,
)  # fmt: skip


def _asked(facts: Comparison, family: frozenset[str]) -> list[str]:
    return [metric for metric in facts.metrics if metric in family]


def _joined(formats: frozenset[str]) -> str:
    return " and ".join(sorted(name.upper() for name in formats))


def _size_words(sizes: frozenset[tuple[int, int]]) -> str:
    low, high = (choose(sizes, key=lambda size: (size[0] * size[1], size)) for choose in (min, max))
    words = f"{low[1]}×{low[0]}"
    return words if low == high else f"{words} to {high[1]}×{high[0]}"
