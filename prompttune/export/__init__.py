"""Keys beyond Python and PyTorch: a backbone and its key as one ONNX file."""
