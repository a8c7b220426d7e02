"""The parts of ``scripts/testnet.py``: what to submit, homes, processes, view and verdict; proxies for manifests."""
