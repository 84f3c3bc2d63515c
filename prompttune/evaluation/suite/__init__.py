"""Many small problems from public and generated sets, on which a backbone is scored."""
