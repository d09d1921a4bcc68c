"""Landscapes drawn by code, at any size: each kind draws one scene on a canvas, from the random numbers it is given.

A kind draws as many random numbers at every resolution, so that one seed gives one scene.
"""

from collections.abc import Callable

import numpy as np

from dit_studio.engine.landscapes import land, water
from dit_studio.engine.landscapes.canvas import Canvas

KINDS: dict[str, Callable[[Canvas, np.random.Generator], None]] = {
    "fields": land.fields,
    "mountains": land.mountains,
    "desert": land.desert,
    "sea": water.sea,
    "beach": water.beach,
    "island": water.island,
    "forest-at-dusk": land.forest_at_dusk,
}
