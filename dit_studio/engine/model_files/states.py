"""What a model file is for, and what can be found of it."""

from typing import Literal

Role = Literal["extractor", "model", "vae"]
Condition = Literal["missing", "truncated", "wrong hash", "unverified", "verified"]
