"""What a class map becomes: pictures, outlines, objects, rasters, and the files of formats."""
