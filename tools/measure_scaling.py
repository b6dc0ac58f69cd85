"""Measure two ranks against one: `python -m tools.measure_scaling --help`."""

from mindcv.programs.measure_scaling import main

if __name__ == "__main__":
    main()
