"""The machine and the processes that a program runs on: a leaf, which every package may import."""
