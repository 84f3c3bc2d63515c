"""Learning a prompt while the network stays frozen."""
