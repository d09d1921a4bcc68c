"""How far generated images are from real ones. All statistics are float64 on the CPU."""

from dit_studio.engine.evaluation.frechet import frechet_distance, frechet_distance_from_features
from dit_studio.engine.evaluation.probe import ClassProbe

__all__ = ["ClassProbe", "frechet_distance", "frechet_distance_from_features"]
