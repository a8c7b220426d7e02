"""Attacks on a node of one's own, over real libp2p."""
