"""The Model files page: pretrained models, VAEs and what metrics need; whether they are here, and how to get them."""
