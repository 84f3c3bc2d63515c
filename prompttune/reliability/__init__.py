"""How far an answer can be trusted: calibrated confidence, expected Dice, and images unlike."""
