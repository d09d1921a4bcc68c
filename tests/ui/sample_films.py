"""Films for tests and pictures: real images with true noise of a real schedule, without any model."""

import math

import numpy as np
from numpy.typing import NDArray

from dit_studio.events import SampleFrame, SamplesDrawn, SamplingStarted, StepPoint
from dit_studio.trajectory import noise_to_pixels
from dit_studio.ui.sample.film import ForkedFilm, JoinedFilm
from dit_studio.ui.sample.frames import Frames

Images = NDArray[np.float32]  # (images, H, W, C), from -1 to 1


def photographs(images: int, side: int) -> Images:
    """Cuts of two photographs."""
    from sklearn.datasets import load_sample_images

    sources = [np.asarray(source, np.float32) / 127.5 - 1 for source in load_sample_images().images]
    draw = np.random.default_rng(1)
    return np.stack([_cut(sources[index % 2], side, draw) for index in range(images)])


def gradients(images: int, side: int, channels: int = 3) -> Images:
    """Pictures that cost nothing."""
    ramp = np.linspace(-1, 1, side, dtype=np.float32)
    picture = np.stack([ramp[None] * ramp[:, None]] * channels, axis=-1)
    return np.stack([np.roll(picture, index, axis=0) for index in range(images)])


def points_of(steps: int, *, train_steps: int = 1000) -> tuple[StepPoint, ...]:
    """Steps of the linear schedule, evenly spaced in t."""
    alphas_bar = np.cumprod(1 - np.linspace(1e-4, 0.02, train_steps))
    times = np.linspace(train_steps - 1, 0, steps + 1).round().astype(int)[:-1]
    return tuple(_point(int(time), float(alphas_bar[time])) for time in times)


def started(clean: Images, steps: int, *, guided: bool = True, seed: int = 100, skip: int = 0) -> SamplingStarted:
    """What a worker says first; the first `skip` of the steps are left out, as in a branch."""
    images, height, width, channels = clean.shape
    planes = ("x_t", "x_start", "conditional", "unconditional") if guided else ("x_t", "x_start")
    return SamplingStarted(
        folder="",
        points=points_of(steps)[skip:],
        labels=tuple(image % 3 for image in range(images)),
        seeds=tuple(seed + image for image in range(images)),
        height=height,
        width=width,
        channels=channels,
        planes=planes,
    )


class Drawing:
    """Says what a worker would say of `clean` images: their noisy versions, and blurred ones as predictions."""

    def __init__(self, clean: Images, start: SamplingStarted) -> None:
        self.clean, self.start = clean, start
        self._noise = np.random.default_rng(0).standard_normal(clean.shape).astype(np.float32)

    def frame(self, step: int, first: int = 0, images: int | None = None) -> SampleFrame:
        share, share_before = (self._share(number) for number in (step, max(step - 1, 1)))
        chosen = slice(first, None if images is None else first + images)
        clean, noise = self.clean[chosen], self._noise[chosen]
        x_t = math.sqrt(share) * clean + math.sqrt(1 - share) * noise
        predicted = _predicted(clean, noise, share)
        before = _predicted(clean, noise, share_before)
        shown = {"x_t": noise_to_pixels(x_t.transpose(0, 3, 1, 2)), "x_start": _pixels(predicted)}
        shown["conditional"] = _pixels(0.9 * predicted)
        shown["unconditional"] = _pixels(_blurred(clean, 1 - 0.8 * share) * 0.8)
        return SampleFrame(
            first_image=first,
            images=len(clean),
            step=step,
            norms=tuple(_lengths(x_t)),
            moves=tuple(_lengths(predicted - before)),
            data=b"".join(shown[plane].tobytes() for plane in self.start.planes),
        )

    def _share(self, step: int) -> float:
        return 1 / (1 + math.exp(-self.start.points[step - 1].log_snr))

    def drawn(self, first: int = 0, images: int | None = None) -> SamplesDrawn:
        chosen = self.clean[first : None if images is None else first + images]
        return SamplesDrawn(first_image=first, images=len(chosen), data=_pixels(chosen).tobytes())


def film_of(
    clean: Images, steps: int, *, guided: bool = True, done: int | None = None, seed: int = 100, skip: int = 0
) -> Frames:
    """A film of `done` steps; finished unless that is said."""
    start = started(clean, steps, guided=guided, seed=seed, skip=skip)
    film, drawing = Frames(start, budget_bytes=10**9), Drawing(clean, start)
    for step in range(1, (len(start.points) if done is None else done) + 1):
        film.add(drawing.frame(step))
    if done is None:
        film.finish(drawing.drawn())
    return film


def forked_film(side: int = 8, *, parent_done: int | None = None) -> ForkedFilm:
    """A branch from step 5 of 10 of image 1, beside its parent, which was stopped after `parent_done` steps."""
    clean = gradients(2, side)
    past = film_of(clean, 10, done=parent_done, seed=2)
    return ForkedFilm(JoinedFilm(past, 1, 5, film_of(-clean[1:], 10, skip=4, seed=3)), past, 1)


def _cut(source: Images, side: int, draw: np.random.Generator) -> Images:
    """A square of 8 × 8 averages where that fits, else of plain pixels."""
    step = max(min(source.shape[:2]) // (2 * side), 1)
    top, left = (int(draw.integers(0, length - side * step + 1)) for length in source.shape[:2])
    cut = source[top : top + side * step, left : left + side * step]
    return cut.reshape(side, step, side, step, 3).mean(axis=(1, 3))


def _point(time: int, alpha_bar: float) -> StepPoint:
    return StepPoint(
        t=float(time), sigma=math.sqrt((1 - alpha_bar) / alpha_bar), log_snr=math.log(alpha_bar / (1 - alpha_bar))
    )


def _predicted(clean: Images, noise: Images, share: float) -> Images:
    return _blurred(clean, 1 - share) + 0.25 * (1 - share) * _blurred(noise, 1 - share)


def _blurred(images: Images, strength: float) -> Images:
    """The lower frequencies; `strength` from 0 (nearly all of them) to 1 (hardly any)."""
    side = images.shape[1]
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None]) * side
    kept = np.exp(-((frequency / (0.6 + side * math.sqrt(1 - strength))) ** 2) / 2)[None, :, :, None]
    return np.fft.ifft2(np.fft.fft2(images, axes=(1, 2)) * kept, axes=(1, 2)).real.astype(np.float32)


def _lengths(values: Images) -> list[float]:
    return [float(length) for length in np.sqrt((values**2).mean(axis=(1, 2, 3)))]


def _pixels(images: Images) -> NDArray[np.uint8]:
    return (images * 127.5 + 128).clip(0, 255).astype(np.uint8)
