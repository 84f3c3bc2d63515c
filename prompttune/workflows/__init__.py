"""What the command line and Python both call: from images to a prompt that is kept."""
