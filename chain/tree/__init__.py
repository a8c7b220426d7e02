"""The authenticated tree over the state, in memory and as pages."""
