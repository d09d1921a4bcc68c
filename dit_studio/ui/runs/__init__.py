"""The Runs page: every run, and what sets them apart."""
