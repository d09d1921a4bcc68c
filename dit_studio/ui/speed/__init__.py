"""The Speed page: how fast attention and the family are on this machine."""
