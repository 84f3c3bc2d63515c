"""The small convolutional network that a key may carry beside its prompt."""
