"""Atomic writing, checkpoint files and ONNX files."""
