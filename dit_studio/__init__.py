"""DiT Studio: train, watch and measure Diffusion Transformers."""

__version__ = "0.1.0"
