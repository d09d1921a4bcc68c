"""The Evaluate page: what is asked on the left, figures and curves in the centre, what was measured on the right."""
