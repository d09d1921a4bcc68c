"""Published models and the weights of extractors: which there are, whether this machine has them, how they come here.

Without torch, so that a question about a file costs nothing.
"""
