"""Measure the peak memory of training and evaluation: `python -m tools.measure_memory`."""

from mindcv.programs.measure_memory import main

if __name__ == "__main__":
    main()
