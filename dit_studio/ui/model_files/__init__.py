"""The Model files page: the networks that metrics need, whether they are here, and how to get them."""
