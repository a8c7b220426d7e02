"""What transactions do: the state, and the rules of everybody's rights."""
