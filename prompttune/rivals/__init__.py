"""What a user would pick instead of a prompt tuned here, trained on the same images."""
