"""The dry kinds of landscape: fields, mountains, desert and forest at dusk."""

import numpy as np

from dit_studio.engine.landscapes.canvas import Array, Canvas, Noise, hexadecimal, mix, smoothstep
from dit_studio.engine.landscapes.elements import (
    Light,
    conifer_line,
    crown_line,
    light_of,
    paint_clouds,
    paint_sky,
    paint_stars,
    pick,
    tree_outlines,
)

# ------------------------------------------------------------------------------------------------- fields

# crop      furrow     ridge
_CROPS = (
    ("#b98a2e", "#ecca62"),  # wheat
    ("#a98d1c", "#f6dc3a"),  # rapeseed
    ("#3c7a2a", "#93c54b"),  # young corn
    ("#2f6b35", "#6fae55"),  # beet
    ("#5b4a8c", "#a68ad0"),  # lavender
    ("#5d3f28", "#9c7048"),  # ploughed earth
    ("#6f8f2f", "#c9d268"),  # barley
)


def fields(canvas: Canvas, rng: np.random.Generator) -> None:
    """Rows of a crop that run to the horizon, a patchwork of fields and low hills behind them."""
    noise = Noise(rng)
    light = light_of(rng, "noon", "summer", "morning", "haze", "golden", "overcast")
    horizon = float(rng.uniform(0.36, 0.54))
    paint_sky(canvas, light, horizon=horizon)
    paint_clouds(canvas, light, noise, horizon=horizon, cover=rng.uniform(0.2, 0.7), scale=rng.uniform(0.5, 1.1))
    _paint_low_hills(canvas, rng, light, noise, horizon=horizon)
    edge = _paint_patchwork(canvas, rng, light, noise, horizon=horizon)
    _paint_furrows(canvas, rng, light, noise, top=edge)
    if rng.random() < 0.6:
        _paint_lone_tree(canvas, rng, light, noise, base=edge)


def _paint_low_hills(canvas: Canvas, rng: np.random.Generator, light: Light, noise: Noise, *, horizon: float) -> None:
    offset, green = rng.uniform(0, 40), pick(rng, "#5f8a4a", "#7f9a58", "#4f7d5b")
    for distance, height in ((0.75, 0.075), (0.5, 0.035)):
        line = horizon - height * (0.6 + 0.55 * noise.fractal(canvas.x * 2.2 + offset * distance, octaves=3))
        canvas.paint(mix(light.on(green, 0.75), light.horizon, distance), canvas.below(line))
    hedge = crown_line(canvas, noise, base=horizon + 0.012, height=0.018, scale=9)
    canvas.paint(mix(light.on(hexadecimal("#35563a"), 0.5), light.horizon, 0.25), canvas.below(hedge))


def _paint_patchwork(canvas: Canvas, rng: np.random.Generator, light: Light, noise: Noise, *, horizon: float) -> Array:
    """Bands of far fields. Returns: the line where the near field begins, (1, n)."""
    line = np.full_like(canvas.x, horizon + 0.004)
    for _ in range(int(rng.integers(2, 5))):
        crops = [_CROPS[index] for index in rng.integers(0, len(_CROPS), 3)]
        colours = [mix(hexadecimal(furrow), hexadecimal(ridge), 0.6) for furrow, ridge in crops]
        slant = rng.uniform(-2.0, 2.0)
        position = canvas.x + slant * (canvas.y - horizon)
        borders = np.sort(rng.uniform(0.1, 0.9, 2))
        band = mix(colours[0], colours[1], (position > borders[0])[..., None])
        band = mix(band, colours[2], (position > borders[1])[..., None])
        canvas.paint(mix(light.on(band, 0.8), light.horizon, 0.22), canvas.below(line))
        tilt, bend = rng.uniform(-0.02, 0.02), rng.uniform(0, 30)
        line = line + rng.uniform(0.015, 0.035) + tilt * (canvas.x - 0.5) + 0.006 * noise(canvas.x * 2 + bend)
    return np.asarray(line, np.float32)


def _paint_furrows(canvas: Canvas, rng: np.random.Generator, light: Light, noise: Noise, *, top: Array) -> None:
    furrow, ridge = (hexadecimal(code) for code in _CROPS[int(rng.integers(len(_CROPS)))])
    vanishing_x, rows, phase = rng.uniform(-0.25, 1.25), rng.uniform(3.2, 6.0), rng.random()
    bend = rng.uniform(-0.3, 0.3)
    nearness = np.asarray(np.clip((canvas.y - top + 0.03) / (1.03 - top), 0.001, 1), np.float32)
    across = np.asarray((canvas.x - vanishing_x - bend * (1 - nearness) ** 2) / nearness, np.float32)
    depth = np.asarray(1 / (nearness + 0.11), np.float32)
    wobble = 0.03 * noise(across * 3, depth * 2)
    wave = np.sin(2 * np.pi * (rows * (across + wobble) + phase))
    distinct = smoothstep(0.03, 0.3, nearness)
    grain = noise.fractal(across * 14, depth * 9, octaves=2) * smoothstep(0.05, 0.5, nearness)
    share = 0.58 + distinct * (0.42 * np.tanh(wave * 2.2)) + 0.2 * grain
    share = share + 0.12 * noise.fractal(canvas.x * 2, nearness * 5, octaves=2)
    lit = np.clip(0.72 + 0.22 * wave * distinct - 0.18 * (1 - nearness), 0, 1)
    crop = light.on(mix(furrow, ridge, np.clip(share, 0, 1.1)[..., None]), lit)
    canvas.paint(mix(crop, light.horizon, 0.2 * (1 - nearness[..., None]) ** 3), canvas.below(top))


def _paint_lone_tree(canvas: Canvas, rng: np.random.Generator, light: Light, noise: Noise, *, base: Array) -> None:
    x, height = float(rng.uniform(0.1, 0.9)), float(rng.uniform(0.12, 0.24))
    foot = float(np.interp(x, canvas.x[0], base[0])) + 0.015
    mask = canvas.polygons(tree_outlines(rng, x=x, base=foot, height=height))
    side = 1.0 if light.sun_x > x else -1.0
    lit = np.clip(0.35 + side * (canvas.x - x) / height * 1.3 - (canvas.y - foot + height * 0.6) / height, 0, 1)
    lit = np.clip(lit + 0.3 * noise.fractal(canvas.x * 40, canvas.y * 40, octaves=2), 0, 1)
    canvas.paint(light.on(hexadecimal("#5f8a3a"), lit), mask)


# ------------------------------------------------------------------------------------------------- mountains


def mountains(canvas: Canvas, rng: np.random.Generator) -> None:
    """Ranges of peaks in haze, snow on the highest, a dark wood or a meadow at their foot."""
    noise = Noise(rng)
    light = light_of(rng, "noon", "summer", "morning", "dawn", "overcast", "golden")
    paint_sky(canvas, light, horizon=0.72)
    paint_clouds(canvas, light, noise, horizon=0.6, cover=rng.uniform(0.05, 0.55), scale=rng.uniform(0.5, 1.0))
    rock = pick(rng, "#6a6f7c", "#7d7672", "#5a6678", "#86766c")
    snow_line, highest = rng.uniform(0.34, 0.6), rng.uniform(0.12, 0.26)
    roughness = noise.fractal(canvas.x * 9, canvas.y * 9, octaves=3, gain=0.6)
    ranges = int(rng.integers(2, 4))
    for index in range(ranges):
        nearness = (index + 1) / ranges
        top = highest + 0.3 * (index / ranges) ** 0.8
        _paint_range(
            canvas, rng, light, noise, top=top, rock=rock, roughness=roughness, snow_line=snow_line, nearness=nearness
        )
    _paint_foothills(canvas, rng, light, noise)


def _paint_range(
    canvas: Canvas,
    rng: np.random.Generator,
    light: Light,
    noise: Noise,
    *,
    top: float,
    rock: Array,
    roughness: Array,
    snow_line: float,
    nearness: float,
) -> None:
    """One range: rock below, snow above, every face of a peak lit or in shadow."""
    peaks, offset = _peaks(rng, top=top), rng.uniform(0, 60)
    jagged = noise.fractal(canvas.x * 8 + offset, octaves=5, gain=0.55)
    line = _skyline(canvas.x + 0.01 * noise(canvas.x * 14 + offset), peaks) + 0.022 * jagged
    depth = np.maximum(canvas.y - line, 0)
    meander = 0.65 * np.minimum(depth, 0.1) * noise.fractal(canvas.x * 3, canvas.y * 11 + offset, octaves=3)
    face = canvas.x + meander  # the edge between two faces runs down from the peak in bends
    leftwards = np.float32(100) * (_skyline(face + 0.005, peaks) - _skyline(face - 0.005, peaks))
    sunny = np.float32(1 if light.sun_x < 0.5 else -1) * leftwards  # above 0 where the face looks at the sun
    gullies = noise.fractal(
        (canvas.x + 0.45 * np.sign(leftwards) * depth) * 11 + offset, canvas.y * 5, octaves=3, gain=0.6
    )
    lit = np.clip(0.5 + 0.4 * np.tanh(sunny * 2.5) + 0.42 * gullies, 0, 1)
    snow = smoothstep(0.05, -0.05, canvas.y - snow_line - 0.08 * gullies + 0.06 * roughness)
    snow = snow * smoothstep(-0.8, -0.5, gullies + 0.3 * roughness)
    surface = mix(rock * (0.9 + 0.22 * roughness[..., None]), hexadecimal("#fafcff"), snow[..., None])
    air = np.clip(0.62 * (1 - nearness) + 0.04 + 0.6 * smoothstep(0.12, 0.5, depth), 0, 1)
    canvas.paint(mix(light.on(surface, lit), light.horizon, air[..., None]), canvas.below(line))


def _peaks(rng: np.random.Generator, *, top: float) -> Array:
    """Some peaks, of which the highest stands at y = `top`: rows of x, y, slope."""
    count = int(rng.integers(4, 8))
    x = (np.arange(count) + rng.uniform(-0.3, 0.3, count)) / (count - 1)
    y = top + 0.22 * rng.random(count) ** 1.3
    y[int(rng.integers(count))] = top
    return np.stack([x, y, rng.uniform(0.75, 1.5, count)]).astype(np.float32)


def _skyline(x: Array, peaks: Array) -> Array:
    """The outline of the peaks, y as a function of x."""
    line = np.full_like(x, 2)
    for peak_x, peak_y, slope in peaks.T:
        line = np.minimum(line, peak_y + slope * np.abs(x - peak_x))
    return line


def _paint_foothills(canvas: Canvas, rng: np.random.Generator, light: Light, noise: Noise) -> None:
    foot, offset = rng.uniform(0.74, 0.86), rng.uniform(0, 50)
    ground = foot + 0.05 * noise.fractal(canvas.x * 1.6 + offset, octaves=2)
    if rng.random() < 0.6:
        wood = light.on(pick(rng, "#1f3a2e", "#2b4a34", "#24403c"), 0.4)
        for back, haze in ((0.05, 0.35), (0.0, 0.05)):
            trees = conifer_line(canvas, rng, base=ground - back, height=0.1, count=int(rng.integers(22, 36)))
            canvas.paint(mix(wood, light.horizon, haze), canvas.below(trees))
    meadow = pick(rng, "#5f8a3c", "#7f9b4a", "#4d7a45", "#93934f")
    tufts = noise.fractal(canvas.x * 7, canvas.y * 22, octaves=3)
    lit = np.clip(0.6 + 0.35 * tufts, 0, 1)
    canvas.paint(light.on(meadow, lit), canvas.below(ground + 0.012))


# ------------------------------------------------------------------------------------------------- desert


def desert(canvas: Canvas, rng: np.random.Generator) -> None:
    """Dunes behind dunes, each with a lit and a shaded side, and ripples on the nearest."""
    noise = Noise(rng)
    light = light_of(rng, "noon", "summer", "haze", "golden", "golden", "sunset", "morning")
    horizon = float(rng.uniform(0.34, 0.5))
    paint_sky(canvas, light, horizon=horizon + 0.03)
    if rng.random() < 0.35:
        paint_clouds(canvas, light, noise, horizon=horizon, cover=rng.uniform(0.05, 0.25), scale=0.8)
    sand = pick(rng, "#e2a25a", "#d98a48", "#edc283", "#c9743c", "#e6b26a")
    layers = int(rng.integers(3, 6))
    for index in range(layers):
        nearness = (index + 0.6 * rng.random()) / layers
        _paint_dune(canvas, rng, light, noise, sand=sand, base=horizon + 0.5 * nearness**1.3, nearness=nearness)


def _paint_dune(
    canvas: Canvas, rng: np.random.Generator, light: Light, noise: Noise, *, sand: Array, base: float, nearness: float
) -> None:
    offset, scale = rng.uniform(0, 60), 2.9 - 1.7 * nearness
    height = 0.07 + 0.15 * nearness

    def crest(x: Array) -> Array:
        swell = 1 - np.abs(noise(x * scale + offset, 0.3 * offset)) * 1.35
        return np.asarray(base - height * (swell - 0.35 + 0.25 * noise(x * scale * 0.5 + 9)), np.float32)

    line = crest(canvas.x)
    depth = np.maximum(canvas.y - line, 0)
    meander = 0.05 * noise(depth * 9 + offset, canvas.x * 0.5) * smoothstep(0, 0.1, depth)
    ridge_x = canvas.x + (0.55 - 1.1 * (light.sun_x < 0.5)) * depth + meander  # the edge of light runs down aslant
    slope = (crest(ridge_x + 0.012) - crest(ridge_x - 0.012)) / 0.024
    towards_sun = slope * (1.0 if light.sun_x < 0.5 else -1.0)
    lit = smoothstep(-0.2, 0.2, towards_sun / (height * scale) + 0.1)
    ripples = np.sin(210 * (canvas.y + 0.16 * noise(canvas.x * 4 + offset, canvas.y * 5)) / (0.7 + nearness))
    visible = smoothstep(0.45, 0.9, nearness) * smoothstep(0.02, 0.2, depth)
    lit = np.clip(lit * (0.86 + 0.14 * smoothstep(0.25, 0, depth)) + 0.1 * ripples * visible, 0, 1)
    grain = 1 + 0.05 * noise.fractal(canvas.x * 10, canvas.y * 20 + offset, octaves=2)
    colour = light.on(sand * grain[..., None], 0.08 + 0.92 * lit)
    haze = 0.5 * (1 - nearness) ** 2 + 0.12 * smoothstep(0.0, 0.3, depth) * (1 - nearness)
    canvas.paint(mix(colour, light.horizon, haze[..., None]), canvas.below(line))


# ------------------------------------------------------------------------------------------------- forest at dusk


def forest_at_dusk(canvas: Canvas, rng: np.random.Generator) -> None:
    """Rows of black conifers before the last light, mist between them, stars or a moon above."""
    noise = Noise(rng)
    light = light_of(rng, "dusk violet", "dusk red", "dusk blue", "dusk rose")
    horizon = float(rng.uniform(0.6, 0.76))
    paint_sky(canvas, light, horizon=horizon, disc=rng.uniform(0.03, 0.055))
    if rng.random() < 0.6:
        paint_clouds(canvas, light, noise, horizon=horizon, cover=rng.uniform(0.05, 0.4), scale=rng.uniform(0.4, 0.9))
    paint_stars(canvas, rng, horizon=horizon, count=int(rng.integers(0, 60)))
    layers = int(rng.integers(3, 5))
    dark = pick(rng, "#0a1016", "#100c18", "#0a1414")
    for index in range(layers):
        nearness = index / (layers - 1)
        ground = horizon + 0.02 + 0.3 * nearness**1.4 + 0.05 * noise.fractal(canvas.x * 1.7 + 7.0 * index, octaves=2)
        trees = conifer_line(
            canvas,
            rng,
            base=ground,
            height=0.13 + 0.36 * nearness * rng.uniform(0.75, 1.15),
            count=int(46 - 32 * nearness),
        )
        haze = 0.66 * (1 - nearness) ** 1.2
        mist = haze + (0.6 - 0.42 * nearness) * smoothstep(-0.14, 0.12, canvas.y - ground)
        canvas.paint(
            mix(dark, mix(light.horizon, light.zenith, 0.25), np.clip(mist, 0, 1)[..., None]), canvas.below(trees)
        )
