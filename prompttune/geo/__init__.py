"""Pictures of the earth: their place on the map, and rasters larger than memory."""
