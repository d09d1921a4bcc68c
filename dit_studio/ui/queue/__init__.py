"""The queue of runs, as the window shows it."""
