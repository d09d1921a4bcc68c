"""The kinds of landscape with water: sea, beach and island."""

import numpy as np

from dit_studio.engine.landscapes.canvas import Array, Canvas, Noise, hexadecimal, mix, smoothstep
from dit_studio.engine.landscapes.elements import (
    Light,
    light_of,
    paint_clouds,
    paint_sky,
    paint_water,
    palm_outlines,
    pick,
)

# ------------------------------------------------------------------------------------------------- sea


def sea(canvas: Canvas, rng: np.random.Generator) -> None:
    """Open water under a wide sky: calm, swell or storm, with the sun's path on it."""
    noise = Noise(rng)
    light = light_of(rng, "noon", "summer", "overcast", "golden", "sunset", "dawn", "haze", "dusk blue")
    horizon = float(rng.uniform(0.3, 0.56))
    paint_sky(canvas, light, horizon=horizon, disc=0.028)
    paint_clouds(canvas, light, noise, horizon=horizon, cover=rng.uniform(0.1, 0.8), scale=rng.uniform(0.5, 1.2))
    deep = pick(rng, "#123f66", "#1a5277", "#0f4a5c", "#2a4a63")
    near = mix(deep, pick(rng, "#0c2f4a", "#1f6f80", "#16405a"), 0.7)
    paint_water(canvas, light, noise, horizon=horizon, deep=deep, near=near, waves=rng.uniform(0.2, 0.8))
    if rng.random() < 0.3:
        _paint_sail(canvas, rng, light, horizon=horizon)


def _paint_sail(canvas: Canvas, rng: np.random.Generator, light: Light, *, horizon: float) -> None:
    x, size = rng.uniform(0.12, 0.88), rng.uniform(0.05, 0.1)
    foot = horizon + 0.2 * size
    hull = [(-0.4, -0.1), (0.45, -0.1), (0.3, 0.06), (-0.3, 0.06)]
    sails = [[(0.0, -0.15), (0.0, -1.25), (0.42, -0.2)], [(-0.04, -0.15), (-0.04, -1.05), (-0.36, -0.2)]]
    hull, *sails = ([(x + dx * size, foot + dy * size) for dx, dy in outline] for outline in (hull, *sails))
    canvas.paint(light.on(hexadecimal("#f7f4ec"), 0.9), canvas.polygons(sails))
    canvas.paint(light.on(hexadecimal("#5a3b2c"), 0.4), canvas.polygons([hull]))


# ------------------------------------------------------------------------------------------------- beach


def beach(canvas: Canvas, rng: np.random.Generator) -> None:
    """Pale sand in front, a line of foam aslant, turquoise water behind it."""
    noise = Noise(rng)
    light = light_of(rng, "noon", "summer", "summer", "morning", "haze", "golden", "dawn")
    horizon = float(rng.uniform(0.26, 0.42))
    paint_sky(canvas, light, horizon=horizon)
    paint_clouds(canvas, light, noise, horizon=horizon, cover=rng.uniform(0.1, 0.55), scale=rng.uniform(0.5, 1.1))
    deep, near = pick(rng, "#146a9c", "#1a7fa0", "#2b6f9a"), pick(rng, "#4cc4c4", "#6fd3c6", "#3fb0c0", "#8adbd0")
    paint_water(canvas, light, noise, horizon=horizon, deep=deep, near=near, waves=rng.uniform(0.05, 0.3))
    shore = _shoreline(canvas, rng, noise, horizon=horizon)
    _paint_surf(canvas, light, noise, shore=shore, horizon=horizon)
    _paint_sand(canvas, rng, light, noise, shore=shore)
    if rng.random() < 0.35:
        _paint_leaning_palm(canvas, rng, light)


def _shoreline(canvas: Canvas, rng: np.random.Generator, noise: Noise, *, horizon: float) -> Array:
    side, level, tilt = float(rng.choice((-1.0, 1.0))), rng.uniform(0.58, 0.72), rng.uniform(0.05, 0.42)
    bow = rng.uniform(-0.15, 0.15)
    across = side * (canvas.x - 0.5)
    line = level + tilt * across + bow * (across**2 - 0.08) + 0.018 * noise.fractal(canvas.x * 4, octaves=3)
    return np.asarray(np.maximum(line, horizon + 0.03), np.float32)


def _paint_surf(canvas: Canvas, light: Light, noise: Noise, *, shore: Array, horizon: float) -> None:
    """Shallow water and lines of breaking waves that run along the shore."""
    reach = shore - horizon
    out = (shore - canvas.y) / reach  # 0 at the shore, 1 at the horizon
    ragged = 0.05 * noise.fractal(canvas.x * 9, canvas.y * 12, octaves=3)
    canvas.paint(light.on(hexadecimal("#9fe0d4"), 0.8), 0.55 * smoothstep(0.42, 0.0, out) * canvas.below(horizon))
    for place, width, strength in ((0.03, 0.05, 0.95), (0.2, 0.028, 0.7), (0.42, 0.014, 0.45)):
        foam = smoothstep(width, width * 0.3, np.abs(out + ragged * (0.6 + place) - place))
        gaps = smoothstep(-0.45, 0.1, noise(canvas.x * 6 + 30 * place, out * 3)) if place > 0.1 else np.float32(1)
        canvas.paint(light.on(hexadecimal("#ffffff"), 0.9), strength * foam * gaps * canvas.below(horizon))


def _paint_sand(canvas: Canvas, rng: np.random.Generator, light: Light, noise: Noise, *, shore: Array) -> None:
    sand = pick(rng, "#f0dcae", "#e8cc98", "#f6e8c8", "#dfc08c")
    inland = canvas.y - shore
    ragged = 0.014 * noise.fractal(canvas.x * 9, canvas.y * 12, octaves=3)
    wet = smoothstep(0.11, 0.04, inland + ragged)
    lit = np.clip(
        0.82 + 0.22 * noise.fractal(canvas.x * 8, canvas.y * 20, octaves=3) * smoothstep(0.03, 0.2, inland), 0, 1
    )
    dry = light.on(sand, lit)
    soaked = mix(dry * 0.8, light.horizon, 0.15)
    canvas.paint(mix(dry, soaked, wet[..., None]), canvas.below(shore - ragged))


def _paint_leaning_palm(canvas: Canvas, rng: np.random.Generator, light: Light) -> None:
    side = float(rng.choice((-1.0, 1.0)))
    x = 0.5 + side * rng.uniform(0.36, 0.5)
    outlines = palm_outlines(
        rng, x=x, base=rng.uniform(0.86, 1.0), height=rng.uniform(0.5, 0.68), lean=-side * rng.uniform(0.1, 0.4)
    )
    mask = canvas.polygons(outlines)
    shade = np.clip(1.1 - canvas.y * 1.2, 0.1, 0.8)
    canvas.paint(light.on(hexadecimal("#3d6b3a"), np.broadcast_to(shade, mask.shape)) * 0.8, mask)


# ------------------------------------------------------------------------------------------------- island


def island(canvas: Canvas, rng: np.random.Generator) -> None:
    """A small island in the middle of the sea, with palms and its image in the water."""
    noise = Noise(rng)
    light = light_of(rng, "noon", "summer", "morning", "golden", "sunset", "dawn")
    horizon = float(rng.uniform(0.46, 0.58))
    paint_sky(canvas, light, horizon=horizon)
    paint_clouds(canvas, light, noise, horizon=horizon, cover=rng.uniform(0.1, 0.6), scale=rng.uniform(0.5, 1.1))
    deep, near = pick(rng, "#14699a", "#1b7f98", "#1f5f8f"), pick(rng, "#1f8fa6", "#2aa3ae", "#1c6f96")
    paint_water(canvas, light, noise, horizon=horizon, deep=deep, near=near, waves=rng.uniform(0.05, 0.4))
    _paint_island(canvas, rng, light, noise, horizon=horizon)


def _paint_island(canvas: Canvas, rng: np.random.Generator, light: Light, noise: Noise, *, horizon: float) -> None:
    middle, half_width = rng.uniform(0.36, 0.64), rng.uniform(0.24, 0.38)
    foot, height = horizon + rng.uniform(0.03, 0.06), rng.uniform(0.12, 0.28)
    inwards = np.clip(1 - ((canvas.x - middle) / half_width) ** 2, 0, 1)
    bumps = 1 + 0.35 * noise.fractal(canvas.x * 6, octaves=4)
    hill = np.asarray(foot - height * inwards ** rng.uniform(0.8, 1.8) * bumps, np.float32)
    sand_rim = np.clip(1 - ((canvas.x - middle) / (half_width * 1.12)) ** 2, 0, 1)
    shore = foot + 0.035 * np.sqrt(sand_rim)
    land = canvas.below(hill) * (1 - canvas.below(foot + 0.012 * sand_rim)) * (inwards > 0)
    beach_mask = canvas.below(foot - 0.012 * np.sqrt(sand_rim)) * (1 - canvas.below(shore)) * (sand_rim > 0)
    _paint_reflection(canvas, light, noise, shore=shore, width=sand_rim, height=height)
    side = 1.0 if light.sun_x > middle else -1.0
    leaves = noise.fractal(canvas.x * 16, canvas.y * 16, octaves=3)
    lit = np.clip(0.45 + side * (canvas.x - middle) / half_width * 0.5 + 0.55 * leaves, 0, 1)
    canvas.paint(light.on(hexadecimal("#e9d3a0"), 0.85), beach_mask)
    canvas.paint(light.on(pick(rng, "#3f7a36", "#5a8a3f", "#2f6b40", "#6f7f4a"), lit), land)
    _paint_palms(canvas, rng, light, hill=hill, middle=middle, half_width=half_width)


def _paint_reflection(canvas: Canvas, light: Light, noise: Noise, *, shore: Array, width: Array, height: float) -> None:
    below = (canvas.y - shore) / np.float32(height * 0.8)
    ripple = 0.2 * noise(canvas.x * 5, canvas.y * 60)
    mask = (
        canvas.below(shore) * smoothstep(1.0, 0.2, below + ripple) * smoothstep(0.0, 0.5, width - below * 0.6 + ripple)
    )
    canvas.paint(light.on(hexadecimal("#1f4a3f"), 0.3), 0.6 * mask)


def _paint_palms(
    canvas: Canvas, rng: np.random.Generator, light: Light, *, hill: Array, middle: float, half_width: float
) -> None:
    outlines = []
    for _ in range(int(rng.integers(2, 6))):
        x = middle + rng.uniform(-0.75, 0.75) * half_width
        foot = float(np.interp(x, canvas.x[0], hill[0])) + 0.015
        outlines += palm_outlines(rng, x=x, base=foot, height=rng.uniform(0.13, 0.22), lean=rng.uniform(-0.4, 0.4))
    canvas.paint(light.on(hexadecimal("#2c5230"), 0.35), canvas.polygons(outlines))
