"""The Train page: set-up on the left, what happens now in the centre, what came of it on the right."""
