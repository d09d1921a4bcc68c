"""How far generated images are from real ones. All statistics are float64 on the CPU; features are (n, d)."""

from dit_studio.engine.evaluation.frechet import Gaussian, frechet_distance, frechet_distance_from_features
from dit_studio.engine.evaluation.inception_score import inception_score
from dit_studio.engine.evaluation.kernel_inception_distance import kernel_inception_distance
from dit_studio.engine.evaluation.maximum_mean_discrepancy import cmmd, maximum_mean_discrepancy
from dit_studio.engine.evaluation.moments import Moments
from dit_studio.engine.evaluation.nearest import nearest_images
from dit_studio.engine.evaluation.precision_recall import density_coverage, precision_recall
from dit_studio.engine.evaluation.probe import ClassProbe, class_agreement

__all__ = [
    "ClassProbe",
    "Gaussian",
    "Moments",
    "class_agreement",
    "cmmd",
    "density_coverage",
    "frechet_distance",
    "frechet_distance_from_features",
    "inception_score",
    "kernel_inception_distance",
    "maximum_mean_discrepancy",
    "nearest_images",
    "precision_recall",
]
