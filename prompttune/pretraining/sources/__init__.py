"""Real images with labels of several kinds, from folders, COCO files or one packed file."""
