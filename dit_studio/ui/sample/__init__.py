"""The Sample page: how an image comes out of noise, steered and kept."""
