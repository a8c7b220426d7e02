"""What is on a chain: transactions, policies, the genesis, blocks."""
