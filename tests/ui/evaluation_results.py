"""Evaluations written by hand: checkpoints × CFG, sources side by side, a failure, a model that copies."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image

from dit_studio.evaluation_plan import (
    INDEX,
    RESULTS,
    CopyList,
    EvaluationPlan,
    EvaluationPoint,
    EvaluationRecord,
    PointState,
    plan_one,
    plan_sources,
)
from dit_studio.evaluation_request import (
    CautionRecord,
    Copy,
    Copying,
    DrawnBy,
    EvaluationRequest,
    EvaluationResult,
    Metric,
    MetricResult,
    NearImage,
    Protocol,
    SourceRecord,
    ValueInterval,
    encode_result,
)
from dit_studio.sample_request import ModelReference, SampleRequest
from dit_studio.sweep import SweepAxis

REAL = "/data/digits"
CHECKPOINTS, CFGS = (200, 400, 600, 800, 1000), (1.0, 2.0, 4.0, 7.0)
METRICS: tuple[Metric, ...] = ("fid", "kid", "precision", "recall", "density", "coverage")
NO_INTERVAL = (
    "A Fréchet distance of one set of images has none: resampling them would shift it. Measure sets of other seeds."
)
LOST = "The checkpoint /runs/digits/checkpoints/step-0000400 is no longer there."
LOST_REMEDY = "Put it back and press Try again, or leave this point out."
FEW = "FD of 500 images is not comparable with published values: red below 2,048."


def figure(metric: Metric, value: float | None, *, n: int = 500, extractor: str = "random") -> MetricResult:
    """A figure as the engine gives it: Fréchet distances without an interval, the others with one."""
    names = {"fid": "FD", "kid": "KD", "mmd": "MMD", "fid-infinity": "FD∞"}
    name = f"{names.get(metric, metric.capitalize())}-{extractor}-{n}"
    is_share = metric in ("precision", "recall", "density", "coverage", "agreement")
    has_interval = value is not None and metric not in ("fid", "fid-infinity", "density")
    width = 0.02 if is_share else 0.05 * abs(value or 0.0)
    around = ValueInterval(
        low=(value or 0.0) - width, high=(value or 0.0) + width, method="delete-a-group jackknife", n=n
    )
    half = ValueInterval(low=1.1 * (value or 0.0), high=1.2 * (value or 0.0), method="disjoint subsets", n=n // 2)
    return MetricResult(
        metric=metric,
        name=name,
        value=value,
        why_no_value="" if value is not None else "It came out as nan. Look for images that are all alike.",
        interval=around if has_interval else None,
        why_no_interval="" if has_interval or value is None else NO_INTERVAL,
        smaller=half if metric == "fid" and value is not None else None,
        estimator="Gaussians, covariance over n - 1" if metric == "fid" else "all pairs, unbiased",
        better="higher" if is_share else "lower",
        n_real=n,
        n_fake=n,
    )


def result_of(
    values: dict[Metric, float | None],
    *,
    fake: str = "/data/drawn",
    n: int = 500,
    extractor: str = "random",
    real_hash: str = "a1b2c3d4e5f6",
    fake_hash: str = "",
    floor: dict[Metric, float | None] | None = None,
    cautions: Sequence[CautionRecord] = (CautionRecord(level="red", metric="fid", message=FEW),),
    copying: Copying | None = None,
    drawn: str = "digits · step 1,000 · EMA, ddim, 50 steps, CFG 4 on all channels, seeds from 0",
) -> EvaluationResult:
    """A result with these values, and the usual floors if none are given."""
    fake_hash = fake_hash or hashlib.sha256(fake.encode()).hexdigest()
    floors: dict[Metric, float | None] = {"fid": 1.5, "kid": 0.002, "precision": 0.93, "recall": 0.94, "mmd": 0.001}
    floor = {metric: floors[metric] for metric in values if metric in floors} if floor is None else floor
    protocol = Protocol(
        extractor=extractor, extractor_name=f"{extractor} features", weights_sha256="5eed0000" * 8,
        are_weights_published=True, resize="tf1-bilinear", arithmetic="fp32", device="cpu",
        statistics="float64 on the CPU, covariance over n - 1", seed=0, n_real=n, n_fake=n,
        real_hash=real_hash, fake_hash=fake_hash, drawn=drawn,
    )  # fmt: skip
    model = ModelReference(path="/runs/digits", name="digits · step 1,000 · EMA", step=1000)
    return EvaluationResult(
        request=EvaluationRequest(real=REAL, fake=fake, metrics=tuple(values)),
        protocol=protocol,
        protocol_line=f"{extractor} features (weights 5eed0000), resized as tf1-bilinear, fp32 on cpu; statistics in "
        f"float64 on the CPU, covariance over n - 1; {n:,} reference images of digits ({real_hash[:8]}) against "
        f"{n:,} of {Path(fake).name} ({fake_hash[:8]}); seed 0. Drawn: {drawn}.",
        results=tuple(figure(metric, value, n=n, extractor=extractor) for metric, value in values.items()),
        floor=tuple(figure(metric, value, n=n // 2, extractor=extractor) for metric, value in floor.items()),
        why_no_floor="" if floor else "The reference is saved statistics, which have no halves.",
        copying=copying,
        cautions=tuple(cautions),
        real=SourceRecord(path=REAL, kind="folder", content_hash=real_hash, images=1797, measured=n, formats=("PNG",)),
        fake=SourceRecord(
            path=fake, kind="folder", content_hash=fake_hash, images=n, measured=n, formats=("PNG",),
            drawn_by=DrawnBy(model=model, settings={"sampler": "ddim", "steps": 50, "cfg": 4.0, "seed": 0}),
        ),
        seconds=12.5,
        time=1_770_000_000.0,
        versions={"dit-studio": "0.1"},
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------- checkpoints × CFG


def curve_plan() -> EvaluationPlan:
    """A run's checkpoints × CFG: the points in the order in which they are measured."""
    axes = (
        SweepAxis(name="checkpoint", values=tuple(map(str, CHECKPOINTS))),
        SweepAxis(name="cfg", values=tuple(f"{cfg:g}" for cfg in CFGS)),
    )
    places = [(step, cfg) for step in CHECKPOINTS for cfg in CFGS]
    points = tuple(
        EvaluationPoint(
            index=index,
            labels=(f"step {step:,}", f"CFG {cfg:g}"),
            values=(str(step), f"{cfg:g}"),
            request=EvaluationRequest(
                real=REAL,
                fake=f"/runs/digits/checkpoints/step-{step:07d}",
                count=500,
                sample=SampleRequest(classes=tuple(range(10)), cfg=cfg, steps=50, count=500),
            ),
        )
        for index, (step, cfg) in enumerate(places)
    )
    return EvaluationPlan(title="digits: checkpoint × CFG", axes=axes, points=points)


def curve_values(index: int) -> dict[Metric, float | None]:
    """Better with every checkpoint; best at CFG 2; recall falls as precision rises."""
    step, cfg = CHECKPOINTS[index // 4], CFGS[index % 4]
    fid = 4 + 4000 / step + 0.9 * abs(cfg - 2) ** 1.5
    precision = min(0.5 + 0.0002 * step + 0.04 * cfg, 0.99)
    recall = max(0.85 - 0.08 * cfg + 0.0001 * step, 0.05)
    return {"fid": fid, "kid": fid / 500, "precision": precision, "recall": recall, "density": 0.9, "coverage": recall}


def curve_result(index: int, *, n: int = 500, real_hash: str = "a1b2c3d4e5f6") -> EvaluationResult:
    return result_of(curve_values(index), fake=f"/evaluations/drawn/{index:04x}", n=n, real_hash=real_hash)


def curve_results(count: int = 20) -> dict[int, EvaluationResult]:
    return {index: curve_result(index) for index in range(count)}


# ------------------------------------------------------------------------------------------------- other plans


def one_plan() -> EvaluationPlan:
    return plan_one(EvaluationRequest(real=REAL, fake="/data/drawn"), title="drawn against digits")


def one_result() -> EvaluationResult:
    """With every kind of caution, and a figure that could not be had."""
    cautions = (
        CautionRecord(level="red", metric="fid", message=FEW),
        CautionRecord(level="amber", metric="", message="The reference is PNG, the generated images are JPEG."),
        CautionRecord(level="note", metric="recall", message="The images are upscaled from 8 to 32 pixels."),
    )
    return result_of({**curve_values(17), "fid-infinity": None}, cautions=cautions)


def sources_plan() -> EvaluationPlan:
    names = ("real half", "model", "copies", "noise")
    requests = [EvaluationRequest(real=REAL, fake=f"/data/{name.replace(' ', '-')}") for name in names]
    return plan_sources(requests, labels=names, title="digits: 4 sources")


def sources_results() -> dict[int, EvaluationResult]:
    """In that order by every figure; the third copies."""
    rows: dict[str, tuple[float, float, float, float]] = {
        "real-half": (1.6, 0.0021, 0.93, 0.94),
        "model": (9.4, 0.031, 0.88, 0.61),
        "copies": (3.2, 0.009, 0.99, 0.41),
        "noise": (212.0, 1.9, 0.0, 0.0),
    }
    return {
        index: result_of(
            {"fid": fid, "kid": kid, "precision": precision, "recall": recall},
            fake=f"/data/{name}",
            copying=copying() if name == "copies" else None,
        )
        for index, (name, (fid, kid, precision, recall)) in enumerate(rows.items())
    }


def embeddings_results(fake: str = "/data/drawn", *, shift: float = 0.0) -> list[EvaluationResult]:
    """MMD of the same images in three embeddings."""
    values = {"clip-b32": 0.0061, "siglip": 0.0143, "align": 0.0118}
    return [
        result_of({"mmd": value + shift}, fake=fake, extractor=name, floor={"mmd": 0.0005}, cautions=())
        for name, value in values.items()
    ]


def copying(images: int = 40) -> Copying:
    """Every second image is closer to a training image than these are to each other."""
    return Copying(
        share_closer=0.5, threshold=3.0, expected=0.05, floor=0.04, is_suspicious=True, exact=2,
        copies=copies(images)[:20],
    )  # fmt: skip


def copies(images: int = 40) -> tuple[Copy, ...]:
    return tuple(
        Copy(
            image=f"{place:06d}.png",
            number=place,
            nearest=tuple(
                NearImage(
                    image=f"train/{place + near:05d}.png", number=place + near, distance=0.15 * place + 0.3 * near
                )
                for near in range(3)
            ),
            is_closer=place < images // 2,
        )
        for place in range(images)
    )


def record_of(
    plan: EvaluationPlan,
    *,
    done: int | None = None,
    failed: Sequence[int] = (),
    state: str = "finished",
    time: float = 1_770_000_000.0,
) -> EvaluationRecord:
    """The first `done` points are measured, apart from those that failed; the others wait."""
    count = len(plan.points) if done is None else done
    lost = PointState(
        state="failed",
        message=LOST,
        remedy=LOST_REMEDY,
    )
    states = tuple(
        lost
        if point.index in failed
        else PointState(state="done", seconds=12.5, samples=point.request.fake)
        if point.index < count
        else PointState()
        for point in plan.points
    )
    return EvaluationRecord(plan=plan, states=states, state=state, time=time)  # type: ignore[arg-type]


def write_entry(
    root: Path, name: str, record: EvaluationRecord, results: dict[int, EvaluationResult], *, images: int = 40
) -> Path:
    """An entry of the history as the engine leaves it, with pictures of the first images and lists of copies."""
    folder = root / name
    (folder / RESULTS).mkdir(parents=True)
    (folder / INDEX).write_bytes(msgspec.json.encode(record))
    for point, state in zip(record.plan.points, record.states, strict=True):
        if state.state == "done" and point.index in results:
            (folder / point.result_file).write_bytes(encode_result(results[point.index]))
            Image.fromarray(picture(point.index)).save(folder / point.samples_file)
            found = CopyList(real_path=REAL, fake_path=point.request.fake, copies=copies(images))
            (folder / point.copies_file).write_bytes(msgspec.json.encode(found))
    return folder


def picture(seed: int, *, side: int = 16, rows: int = 2) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    """Rows of 8 images that a person can tell apart."""
    y, x = np.mgrid[: rows * side, : 8 * side]
    cells = (y // side) * 8 + x // side
    rings = 0.5 + 0.5 * np.cos(np.hypot(x % side - side / 2, y % side - side / 2) * (0.4 + 0.05 * cells) + seed)
    return (255 * np.stack([rings, rings**2, 1 - rings], -1)).astype(np.uint8)
