"""What every room may use and what uses none of them: errors, files, tiles, and progress."""
