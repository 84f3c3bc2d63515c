"""What a task is: its recipe, and its images."""
