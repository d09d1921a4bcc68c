"""Each metric of a pair of sides, with its interval or the reason why there is none."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

from dit_studio.engine.evaluation import intervals
from dit_studio.engine.evaluation.extractors import MAIN_OUTPUT, Extractor
from dit_studio.engine.evaluation.features import FeatureArray, unit_rows
from dit_studio.engine.evaluation.finite import check_finite
from dit_studio.engine.evaluation.frechet import Gaussian
from dit_studio.engine.evaluation.inception_score import SPLITS, inception_score
from dit_studio.engine.evaluation.kernel_inception_distance import (
    SUBSET_SIZE,
    SUBSETS,
    kernel_distances_of_subsets,
    subset_size_used,
)
from dit_studio.engine.evaluation.kernel_sums import Kernel, KernelSums, cubic_kernel, gaussian_kernel, sum_kernel
from dit_studio.engine.evaluation.maximum_mean_discrepancy import CMMD_SCALE, CMMD_SIGMA, MEDIAN_IMAGES, median_distance
from dit_studio.engine.evaluation.metric_names import metric_name
from dit_studio.engine.evaluation.precision_recall import (
    DensityCoverage,
    PrecisionRecall,
    density_coverage,
    precision_recall,
)
from dit_studio.engine.evaluation.probe import class_agreement
from dit_studio.engine.evaluation.sides import Side
from dit_studio.errors import DataError, StudioError, in_a_line
from dit_studio.evaluation_request import Metric, MetricResult, ValueInterval

PRECISION_K, DENSITY_K = 3, 5
MOST_PAIRED = 10_000  # images of each side whose neighbours are sought, as ADM's evaluator takes references
MOST_IN_KERNELS = 50_000  # images of each side: memory is flat, but time grows with their product
_FRECHET_SUBSETS = 5
_PROBE_IMAGES = 5000
_GIVE_CLASSES = "Give a folder of class folders, or an .npz with labels."
_NO_IMAGES = "It needs the reference's images, and the file holds statistics only."


@dataclass
class Pair:
    """Two sides, and what several metrics need of them, computed once."""

    real: Side
    fake: Side
    extractor: Extractor
    seed: int = 0

    @cached_property
    def equal(self) -> tuple[Side, Side]:
        """As many images of each side, drawn by the seed where there are more."""
        self.need_images()
        n = min(self.real.features[MAIN_OUTPUT].shape[0], self.fake.n, MOST_PAIRED)
        return _drawn(self.real, n, self.seed), _drawn(self.fake, n, self.seed)

    @cached_property
    def equal_features(self) -> tuple[FeatureArray, FeatureArray]:
        real, fake = self.equal
        return real.features[MAIN_OUTPUT], fake.features[MAIN_OUTPUT]

    @cached_property
    def kernel_features(self) -> tuple[FeatureArray, FeatureArray]:
        """All images of each side, or as many as kernels take, drawn by the seed: sums over pairs need no equal
        numbers."""
        self.need_images()
        real, fake = (_drawn(side, MOST_IN_KERNELS, self.seed) for side in (self.real, self.fake))
        return real.features[MAIN_OUTPUT], fake.features[MAIN_OUTPUT]

    @property
    def real_gaussian(self) -> Gaussian:
        return self.real.gaussian

    @cached_property
    def fake_gaussian(self) -> Gaussian:
        return Gaussian.from_features(self.fake.features[MAIN_OUTPUT], "generated images")

    @cached_property
    def precision_recall(self) -> PrecisionRecall:
        return precision_recall(*self.equal_features, k=PRECISION_K)

    @cached_property
    def density_coverage(self) -> DensityCoverage:
        return density_coverage(*self.equal_features, k=DENSITY_K)

    def need_images(self) -> None:
        """Raises: DataError if the reference has none."""
        if not self.real.features:
            raise DataError(_NO_IMAGES, remedy="Give a folder, or an .npz with images.")


def measure(metric: Metric, pair: Pair) -> MetricResult:
    """The figure, or the reason why there is none: one that cannot be computed keeps no other from being."""
    name = metric_name(metric, pair.extractor, pair.fake.n)
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is looked at
            found = _MEASURES[metric](pair, name)
        check_finite(found)
        return msgspec.structs.replace(found, name=metric_name(metric, pair.extractor, found.n_fake))
    except StudioError as error:
        why = str(error)
    except Exception as error:  # noqa: BLE001  whatever a library raises
        why = f"It could not be computed: {in_a_line(error)}."
    return MetricResult(metric=metric, name=name, why_no_value=why, n_real=pair.real.n, n_fake=pair.fake.n)


# ------------------------------------------------------------------------------------------------- Fréchet distances


def _fid(pair: Pair, name: str) -> MetricResult:
    value = pair.real_gaussian.distance(pair.fake_gaussian)
    smaller = _at_half(pair)
    return MetricResult(
        metric="fid", name=name, value=value, better="lower",
        why_no_interval="A Fréchet distance of one set of images has none: resampling them would shift it. Measure "
        "sets of other seeds." + (_half_words(smaller) if smaller else ""),
        smaller=smaller, estimator="Gaussians, covariance over n - 1", n_real=_frechet_n(pair), n_fake=pair.fake.n,
    )  # fmt: skip


def _at_half(pair: Pair) -> ValueInterval | None:
    """Where the distance of half as many fresh images falls."""
    size = pair.fake.n // 2
    if size < 2:
        return None
    sizes, features = [size] * _FRECHET_SUBSETS, pair.fake.features[MAIN_OUTPUT]
    values = list(intervals.frechet_at_sizes(pair.real_gaussian, features, sizes, seed=pair.seed))
    return _record(intervals.subset_interval(values, size=size, images=pair.fake.n), size)


def _half_words(at: ValueInterval) -> str:
    return f" Of {at.n:,} images it falls between {at.low:.4g} and {at.high:.4g}."


def _sfid(pair: Pair, name: str) -> MetricResult:
    statistics = pair.real.statistics
    if statistics is not None and statistics.mu_s is not None and statistics.sigma_s is not None:
        real = Gaussian.from_moments(statistics.mu_s, statistics.sigma_s)
    else:
        pair.need_images()
        real = Gaussian.from_features(pair.real.features["spatial"], "reference")
    fake = Gaussian.from_features(pair.fake.features["spatial"], "generated images")
    return MetricResult(
        metric="sfid", name=name, value=real.distance(fake), better="lower",
        why_no_interval="A Fréchet distance of one set of images has none: resampling them would shift it.",
        estimator="Gaussians of 7 channels, height, width, channel", n_real=_frechet_n(pair), n_fake=pair.fake.n,
    )  # fmt: skip


def _fid_infinity(pair: Pair, name: str) -> MetricResult:
    features = pair.fake.features[MAIN_OUTPUT]
    sizes = intervals.extrapolation_sizes(pair.fake.n, features.shape[1])
    distances = list(intervals.frechet_at_sizes(pair.real_gaussian, features, sizes, seed=pair.seed))
    found = intervals.extrapolate(sizes, distances)
    return MetricResult(
        metric="fid-infinity", name=name, value=found.value, better="lower",
        why_no_interval=f"The line's fit says how far to trust it: R² = {found.r_squared:.4f}.",
        estimator=f"line over 1/N through {len(sizes)} sizes, {sizes[0]:,} to {sizes[-1]:,}",
        n_real=_frechet_n(pair), n_fake=pair.fake.n, details={"r_squared": found.r_squared, "slope": found.slope},
    )  # fmt: skip


def _frechet_n(pair: Pair) -> int:
    return pair.real.n if pair.real.statistics is None else pair.real.statistics.n


# ------------------------------------------------------------------------------------------------- kernel distances


def _kid(pair: Pair, name: str) -> MetricResult:
    return _kernel(
        pair, "kid", name, pair.kernel_features, cubic_kernel, estimator="all pairs, unbiased, kernel (x·y/d + 1)³"
    )


def _kid_subsets(pair: Pair, name: str) -> MetricResult:
    real, fake = pair.equal_features
    size = subset_size_used(len(real), len(fake))
    if size == len(real):
        raise DataError(
            f"Subsets of {SUBSET_SIZE:,} cannot be drawn from {size:,} images.",
            remedy="Go by the figure over all pairs, which needs none, or give more images.",
        )
    values = kernel_distances_of_subsets(real, fake)
    return MetricResult(
        metric="kid-subsets", name=name, value=float(values.mean()), better="lower",
        why_no_interval=f"The subsets overlap: their spread, {values.std():.2g}, is no error of the mean.",
        estimator=f"mean over {SUBSETS} subsets of {size:,}, unbiased, kernel (x·y/d + 1)³",
        n_real=len(real), n_fake=len(fake), details={"standard_deviation": float(values.std())},
    )  # fmt: skip


def _mmd(pair: Pair, name: str) -> MetricResult:
    real, fake = (unit_rows(features) for features in pair.kernel_features)
    sigma = median_distance(unit_rows(_drawn(pair.real, MEDIAN_IMAGES, 0).features[MAIN_OUTPUT]))
    found = _kernel(
        pair, "mmd", name, (real, fake), gaussian_kernel(sigma),
        estimator=f"all pairs, unbiased, Gaussian kernel of σ = {sigma:.4g}, the reference's median distance",
    )  # fmt: skip
    return msgspec.structs.replace(found, details={"sigma": sigma})


def _cmmd(pair: Pair, name: str) -> MetricResult:
    real, fake = (unit_rows(features) for features in pair.kernel_features)
    return _kernel(
        pair, "cmmd", name, (real, fake), gaussian_kernel(CMMD_SIGMA), statistic=KernelSums.biased, scale=CMMD_SCALE,
        estimator="all pairs, biased, Gaussian kernel of σ = 10, times 1,000",
    )  # fmt: skip


def _kernel(
    pair: Pair,
    metric: Metric,
    name: str,
    features: tuple[FeatureArray, FeatureArray],
    kernel: Kernel,
    *,
    estimator: str,
    statistic: Callable[[KernelSums], float] = KernelSums.unbiased,
    scale: float = 1.0,
) -> MetricResult:
    real, fake = features
    found = MetricResult(
        metric=metric, name=name, better="lower", estimator=estimator + _cut_words(pair, real, fake),
        n_real=len(real), n_fake=len(fake),
    )  # fmt: skip
    smaller = min(len(real), len(fake))
    if smaller < 2 * intervals.JACKKNIFE_GROUPS:
        return msgspec.structs.replace(
            found,
            value=scale * statistic(sum_kernel(real, fake, kernel)),
            why_no_interval=f"A jackknife needs {2 * intervals.JACKKNIFE_GROUPS} images, there are {smaller}.",
        )
    estimate = intervals.kernel_estimate(real, fake, kernel, statistic=statistic, seed=pair.seed)
    interval = _record(estimate.interval, len(fake), scale)
    return msgspec.structs.replace(found, value=scale * estimate.value, interval=interval)


def _cut_words(pair: Pair, real: FeatureArray, fake: FeatureArray) -> str:
    if len(real) == pair.real.n and len(fake) == pair.fake.n:
        return ""
    return f"; at most {MOST_IN_KERNELS:,} images of each side, drawn by the seed"


# ------------------------------------------------------------------------------------------------- shares


def _precision(pair: Pair, name: str) -> MetricResult:
    return _share(pair, "precision", name, pair.precision_recall.precision, k=PRECISION_K)


def _recall(pair: Pair, name: str) -> MetricResult:
    return _share(pair, "recall", name, pair.precision_recall.recall, k=PRECISION_K)


def _coverage(pair: Pair, name: str) -> MetricResult:
    return _share(pair, "coverage", name, pair.density_coverage.coverage, k=DENSITY_K)


def _share(pair: Pair, metric: Metric, name: str, value: float, *, k: int) -> MetricResult:
    n = pair.equal[0].n
    return MetricResult(
        metric=metric, name=name, value=value, better="higher",
        interval=_record(intervals.share_interval(value, n), n), estimator=f"{k} nearest neighbours",
        n_real=n, n_fake=n,
    )  # fmt: skip


def _density(pair: Pair, name: str) -> MetricResult:
    n = pair.equal[0].n
    return MetricResult(
        metric="density", name=name, value=pair.density_coverage.density, better="higher",
        why_no_interval="It counts overlapping neighbourhoods and is no share, so no binomial interval is its own.",
        estimator=f"{DENSITY_K} nearest neighbours", n_real=n, n_fake=n,
    )  # fmt: skip


def _agreement(pair: Pair, name: str) -> MetricResult:
    pair.need_images()
    with_class = _with_class(pair.real, "reference"), _with_class(pair.fake, "generated images")
    real, fake = (_drawn(side, _PROBE_IMAGES, pair.seed) for side in with_class)
    asked = _labels_as_named(pair.real, fake)
    assert real.labels is not None
    found = class_agreement(_doubles(real), real.labels, _doubles(fake), asked, seed=pair.seed)
    without = pair.real.n + pair.fake.n - sum(side.n for side in with_class)
    names = pair.real.class_names
    per_class = {names[label] if label < len(names) else str(label): value for label, value in found.per_class.items()}
    return MetricResult(
        metric="agreement", name=name, value=found.share, better="higher",
        interval=_record(intervals.share_interval(found.share, fake.n), fake.n),
        estimator=f"linear probe; of held-out real images it names {found.of_real:.1%} rightly"
        + _without_words(without),
        n_real=real.n, n_fake=fake.n, details={"of_real": found.of_real, **per_class},
    )  # fmt: skip


def _with_class(side: Side, name: str) -> Side:
    """Those of the images that have a class. Raises: DataError if none has."""
    if side.labels is None:
        raise DataError(
            f"The {name} carry no classes." if name[-1] == "s" else f"The {name} carries no classes.",
            remedy=_GIVE_CLASSES,
        )
    has_class = side.labels >= 0
    if not has_class.any():
        raise DataError(
            f"Not one image of the {name} has a class: all labels are negative, or beyond 2⁶³.", remedy=_GIVE_CLASSES
        )
    return side if has_class.all() else side.rows(np.flatnonzero(has_class))


def _without_words(images: int) -> str:
    return f"; {images:,} images without a class, whose label is negative, left out" if images else ""


def _labels_as_named(real: Side, fake: Side) -> NDArray[np.int64]:
    """The generated images' labels in the reference's numbering. Raises: DataError if they do not fit."""
    assert fake.labels is not None
    if not (real.class_names and fake.class_names):
        return fake.labels
    if unknown := [name for name in fake.class_names if name not in real.class_names]:
        raise DataError(
            f'The generated images have a class "{unknown[0]}" that the reference lacks.',
            remedy="Name the classes alike on both sides.",
        )
    return np.array([real.class_names.index(name) for name in fake.class_names])[fake.labels]


# ------------------------------------------------------------------------------------------------- Inception Score


def _inception_score(pair: Pair, name: str) -> MetricResult:
    found = inception_score(pair.fake.features["logits"])
    return MetricResult(
        metric="is", name=name, value=found.mean, better="higher",
        why_no_interval=f"Its {SPLITS} splits scatter by {found.std:.3g}, each at a tenth of the images.",
        estimator=f"mean of {SPLITS} shuffled splits, logits without bias", n_fake=pair.fake.n,
        details={"standard_deviation": found.std},
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------- what they share


def _record(interval: intervals.Interval, n: int, scale: float = 1.0) -> ValueInterval:
    return ValueInterval(low=scale * interval.low, high=scale * interval.high, method=interval.method, n=n)


def _drawn(side: Side, n: int, seed: int) -> Side:
    """`n` of the images, or all of them if there are no more."""
    if n >= side.n:
        return side
    return side.rows(np.sort(np.random.default_rng(seed).choice(side.n, n, replace=False)))


def _doubles(side: Side) -> NDArray[np.float64]:
    return np.asarray(side.features[MAIN_OUTPUT], np.float64)


_MEASURES: dict[Metric, Callable[[Pair, str], MetricResult]] = {
    "fid": _fid,
    "sfid": _sfid,
    "fid-infinity": _fid_infinity,
    "is": _inception_score,
    "kid": _kid,
    "kid-subsets": _kid_subsets,
    "cmmd": _cmmd,
    "mmd": _mmd,
    "precision": _precision,
    "recall": _recall,
    "density": _density,
    "coverage": _coverage,
    "agreement": _agreement,
}
