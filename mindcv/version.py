"""The version, readable without importing MindSpore."""

__version__ = "0.1.0"
