"""The machine and the processes a program runs on: a leaf that every room may import."""
