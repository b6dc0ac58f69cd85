"""Files: written atomically, and those of checkpoints and of ONNX networks."""
