"""What everything stands on: refusals, encoding, keys, hashes."""
