"""What can stand in a scene: light, sky, clouds, ridges, water, trees, palms. Each draws itself once, in place."""

from dataclasses import dataclass

import numpy as np

from dit_studio.engine.landscapes.canvas import Array, Canvas, Noise, hexadecimal, mix, smoothstep


@dataclass(frozen=True, kw_only=True)
class Light:
    """The hour of the day: colours of the sky and of what the sun falls on, and where the sun stands."""

    zenith: Array
    horizon: Array
    sun: Array
    direct: Array  # multiplies the colour of what is lit
    shadow: Array  # multiplies the colour of what is not
    cloud: Array
    sun_x: float
    sun_height: float  # above the horizon, as a share of the picture

    def on(self, colour: Array, lit: Array | float) -> Array:
        """The colour of a surface that is `lit` from 0 to 1: (3,), or (n, n, 3) for a mask."""
        share = np.asarray(lit, np.float32)
        return colour * mix(self.shadow, self.direct, share[..., None] if share.ndim else share)


# hour              zenith     horizon    sun        direct     shadow     cloud      lowest and highest sun
_HOURS = {
    "noon":        ("#3a7cc6", "#b5d8ef", "#fffdf0", "#fffdf4", "#8c9db5", "#ffffff", (0.26, 0.48)),
    "summer":      ("#3a86d6", "#cfe9f5", "#fffbe6", "#fffaea", "#8094b4", "#ffffff", (0.24, 0.46)),
    "morning":     ("#5d9bd6", "#f3e6cf", "#fff3cf", "#fff2d8", "#8b94b0", "#fff6e8", (0.10, 0.24)),
    "haze":        ("#9fbfd6", "#e6e6de", "#fffbe8", "#f6f2e6", "#98a2b0", "#f4f4f0", (0.14, 0.36)),
    "overcast":    ("#7d8b9b", "#c3ccd2", "#dfe4e6", "#ced4d8", "#929ca8", "#a9b2bb", (0.20, 0.40)),
    "golden":      ("#5b83b8", "#f8d08a", "#fff0b8", "#ffe0a0", "#8a7f9c", "#ffe6bf", (0.05, 0.16)),
    "sunset":      ("#47528f", "#fb9a58", "#ffe29a", "#ffbe84", "#76648c", "#f7a081", (0.02, 0.10)),
    "dawn":        ("#6f86bd", "#f6c0bb", "#fff0dc", "#f7d2c8", "#7f7fa2", "#f2c3c6", (0.02, 0.10)),
    "dusk violet": ("#1c2154", "#e58a6c", "#ffcf8f", "#9a6f7c", "#3b3560", "#a8627a", (0.00, 0.06)),
    "dusk red":    ("#2b2450", "#f0663c", "#ffd27a", "#a86450", "#43304e", "#c25a4a", (0.00, 0.06)),
    "dusk blue":   ("#0f1f45", "#7fa2b8", "#e8f1ee", "#6b7f9a", "#24365a", "#49617f", (0.10, 0.34)),
    "dusk rose":   ("#33335f", "#f2a79b", "#ffe3c8", "#a77f8d", "#473f66", "#c27f92", (0.00, 0.07)),
}  # fmt: skip


def pick(rng: np.random.Generator, *colours: str) -> Array:
    """A colour between two of those given, "#rrggbb" each."""
    first, second = rng.choice(colours, 2)
    return mix(hexadecimal(str(first)), hexadecimal(str(second)), rng.random())


def light_of(rng: np.random.Generator, *hours: str) -> Light:
    """Light between two of the given hours, a little off in every colour."""
    first, second = rng.choice(hours, 2)
    share = rng.beta(0.6, 0.6)
    tables = _HOURS[str(first)], _HOURS[str(second)]
    jitter = rng.normal(0, 0.018, 3).astype(np.float32)
    colours = [
        np.clip(mix(hexadecimal(str(a)), hexadecimal(str(b)), share) + jitter, 0, 1)
        for a, b in zip(tables[0][:6], tables[1][:6], strict=True)
    ]
    lowest, highest = mix(tables[0][6], tables[1][6], share)
    return Light(
        zenith=colours[0],
        horizon=colours[1],
        sun=colours[2],
        direct=colours[3],
        shadow=colours[4],
        cloud=colours[5],
        sun_x=float(rng.uniform(0.08, 0.92)),
        sun_height=float(rng.uniform(lowest, highest)),
    )


# ------------------------------------------------------------------------------------------------- sky


def paint_sky(canvas: Canvas, light: Light, *, horizon: float, disc: float = 0.022) -> None:
    """The sky from the top to the horizon, with the sun (a disc of that radius) and its glow."""
    height = np.clip((horizon - canvas.y) / horizon, 0, 1)
    canvas.paint(mix(light.horizon, light.zenith, (height**0.75)[..., None]))
    distance = np.hypot(canvas.x - light.sun_x, (canvas.y - (horizon - light.sun_height)) * 1.1)
    low = 1 - min(light.sun_height / 0.4, 1)
    canvas.paint(light.sun, (0.3 + 0.4 * low) * np.exp(-distance / (0.1 + 0.12 * low)))
    canvas.paint(light.sun, 0.75 * np.exp(-distance / (disc * 1.3)))
    canvas.paint(np.minimum(light.sun * 1.1, 1), smoothstep(disc + 0.006, disc - 0.006, distance))


def paint_clouds(canvas: Canvas, light: Light, noise: Noise, *, horizon: float, cover: float, scale: float) -> None:
    """A deck of clouds seen from below, smaller towards the horizon; `cover` from 0 (none) to 1 (closed)."""
    height = np.maximum(horizon - canvas.y, 0)
    depth = 1 / (height + np.float32(0.16))
    across, along = (canvas.x - 0.5) * depth * scale, depth * scale * 1.3
    density = noise.fractal(across, along, octaves=5, gain=0.55)
    edge = 0.5 - 0.95 * cover
    mask = smoothstep(edge, edge + 0.32, density) * smoothstep(0.0, 0.12, height)
    above = noise.fractal(across + (light.sun_x - canvas.x) * 0.4, along - 0.35, octaves=3, gain=0.55)
    lit = np.clip(0.72 - 0.55 * (above - edge) - 0.25 * cover, 0, 1)
    shaded = mix(light.horizon, light.zenith, 0.45) * 0.84
    canvas.paint(mix(shaded, light.cloud, lit[..., None]), mask * 0.95)


def paint_stars(canvas: Canvas, rng: np.random.Generator, *, horizon: float, count: int) -> None:
    """Stars that fade towards the horizon."""
    places = rng.random((count, 3))
    for x, y, size in places * (1, horizon * 0.75, 1):
        radius = 0.0022 + 0.003 * size**4
        rows = slice(max(int((y - 0.01) * canvas.resolution), 0), int((y + 0.01) * canvas.resolution) + 1)
        distance = np.hypot(canvas.x - x, canvas.y[rows] - y)
        canvas.rgb[rows] += (smoothstep(radius, 0, distance) * (0.35 + 0.6 * size))[..., None]


# ------------------------------------------------------------------------------------------------- water


def paint_water(
    canvas: Canvas, light: Light, noise: Noise, *, horizon: float, deep: Array, near: Array, waves: float
) -> None:
    """Water from the horizon to the bottom: the sky's reflection, waves from 0 (glass) to 1 (rough), glitter."""
    nearness = np.clip((canvas.y - horizon) / np.float32(1 - horizon), 0, 1)
    mask = canvas.below(horizon)
    body = mix(deep, near, nearness[..., None]) * mix(light.shadow, light.direct, 0.65)
    mirror = mix(light.horizon, light.zenith, nearness[..., None] ** 0.8)
    canvas.paint(mix(body, mirror, 0.62 - 0.34 * nearness[..., None]), mask)
    depth = (nearness + np.float32(0.07)) ** np.float32(-0.75)
    across, along = (canvas.x - 0.5) * depth * 3.2, depth * 14
    swell = noise.fractal(across, along, octaves=3, gain=0.6) * smoothstep(0, 0.16, nearness)
    canvas.paint(body * 0.62, mask * np.clip(-swell * (0.25 + waves), 0, 0.75))
    canvas.paint(mix(mirror, light.direct, 0.45), mask * np.clip(swell * (0.15 + 0.75 * waves), 0, 0.8))
    _paint_glitter(canvas, light, noise, mask=mask, nearness=nearness, across=across, along=along)


def _paint_glitter(
    canvas: Canvas, light: Light, noise: Noise, *, mask: Array, nearness: Array, across: Array, along: Array
) -> None:
    low = 1 - min(light.sun_height / 0.45, 1)
    column = np.exp(-(((canvas.x - light.sun_x) / (0.035 + 0.13 * nearness)) ** 2))
    sparks = smoothstep(-0.15 - 0.2 * low, 0.5, noise(across * 2.1 + 5, along * 1.7))
    canvas.paint(light.sun, mask * column * sparks * (0.25 + 0.7 * low) * (1 - 0.35 * nearness))


# ------------------------------------------------------------------------------------------------- trees


def conifer_line(canvas: Canvas, rng: np.random.Generator, *, base: Array | float, height: float, count: int) -> Array:
    """The upper outline of a row of conifers that stand on `base`, y as a function of x: (1, n)."""
    place = ((np.arange(count) + rng.uniform(-0.35, 0.35, count)) / (count - 1) * 1.1 - 0.05).astype(np.float32)
    tall = (height * rng.uniform(0.45, 1.0, count) ** 0.8).astype(np.float32)
    reach = tall / np.float32(4.2) * rng.uniform(0.8, 1.2, count).astype(np.float32)
    outwards = np.abs(canvas.x - place[:, None]) / reach[:, None]  # (count, n), 1 at the tips of the lowest twigs
    tiers = np.float32(6)
    stepped = (np.floor(outwards * tiers) + 0.3 * (outwards * tiers % 1)) / tiers
    tops = np.where(outwards < 1, tall[:, None] * (1 - 0.35 * outwards - 0.65 * stepped), 0)
    return np.asarray(base - tops.max(axis=0)[None, :], np.float32)


def crown_line(canvas: Canvas, noise: Noise, *, base: Array | float, height: float, scale: float) -> Array:
    """The upper outline of a row of broad-leaved trees."""
    bumps = np.sqrt(np.abs(noise(canvas.x * scale, 3.7)) + 0.02) + 0.22 * noise.fractal(canvas.x * scale * 4, octaves=3)
    return np.asarray(base - height * np.clip(0.25 + bumps, 0.05, 1.4), np.float32)


def tree_outlines(rng: np.random.Generator, *, x: float, base: float, height: float) -> list[list[tuple[float, float]]]:
    """A single broad-leaved tree: its trunk and a crown of round lumps."""
    width = height * 0.035
    outlines = [[(x - width, base), (x - width * 0.6, base - height * 0.5), (x + width * 0.6, base - height * 0.5),
                 (x + width, base)]]  # fmt: skip
    for _ in range(11):
        angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.26) * height
        centre = (x + np.cos(angle) * reach, base - height * 0.66 + np.sin(angle) * reach * 0.75)
        outlines.append(_circle(*centre, radius=rng.uniform(0.1, 0.17) * height))
    return outlines


def _circle(x: float, y: float, *, radius: float) -> list[tuple[float, float]]:
    return [(x + np.cos(angle) * radius, y + np.sin(angle) * radius) for angle in np.linspace(0, 2 * np.pi, 14)[:-1]]


def palm_outlines(
    rng: np.random.Generator, *, x: float, base: float, height: float, lean: float
) -> list[list[tuple[float, float]]]:
    """A palm whose top stands `lean` heights beside its foot: a bent trunk and drooping fronds."""
    rise = np.linspace(0, 1, 7)
    spine_x, spine_y = x + lean * height * rise**1.8, base - height * rise
    half_width = height * (0.032 - 0.014 * rise)
    outlines = [
        [
            *zip(spine_x - half_width, spine_y, strict=True),
            *zip((spine_x + half_width)[::-1], spine_y[::-1], strict=True),
        ]
    ]
    for angle in np.linspace(-0.35, np.pi + 0.35, 9) + rng.uniform(-0.15, 0.15, 9):
        outlines.append(_frond(spine_x[-1], spine_y[-1], angle=angle, length=height * rng.uniform(0.42, 0.56)))
    return outlines


def _frond(x: float, y: float, *, angle: float, length: float) -> list[tuple[float, float]]:
    """A leaf that leaves the trunk at `angle` and droops; its lower edge is cut into leaflets."""
    along = np.linspace(0, 1, 11)
    rib_x = x + np.cos(angle) * length * along
    rib_y = y - np.sin(angle) * length * 0.72 * along + length * 0.62 * along**2.1
    leaflets = length * 0.2 * np.sin(np.pi * np.minimum(along * 0.9 + 0.1, 1)) * np.where(np.arange(11) % 2, 1.0, 0.45)
    return [*zip(rib_x, rib_y - length * 0.02, strict=True), *zip(rib_x[::-1], (rib_y + leaflets)[::-1], strict=True)]
