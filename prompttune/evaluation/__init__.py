"""How good a prompt is: metrics, trivial baselines, the comparison of rows, and its report."""
