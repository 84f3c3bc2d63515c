"""Medical files as stacks of slices: DICOM files and series, NIfTI volumes, and their masks."""
