"""The chain as it grows: the state after each block, branch by branch."""
