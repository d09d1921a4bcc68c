"""The engine: torch, never Qt. Generators that yield plain values."""
