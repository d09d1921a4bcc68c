"""The engine: torch, never Qt. Generators that yield plain values."""

import os

# torch's threads wait for each other by spinning. Where other programs want the same cores, that wastes most of the
# machine: a step took up to ten times as long. A short spin costs nothing measurable on an idle machine.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
