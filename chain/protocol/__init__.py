"""One node: what it takes from the network, makes of it, and says."""
