"""Datasets as samples in random access, by kind of file."""
