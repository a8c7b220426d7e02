"""What several kinds of tests share: keys and genesis files, and a network of engines in memory."""
