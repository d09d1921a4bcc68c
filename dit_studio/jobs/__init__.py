"""Jobs: where the engine's generators run, and how their events reach whoever watches. Standard library only."""
