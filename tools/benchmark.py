"""Measure the family: `python -m tools.benchmark --models mnasnet_075 mnasnet_100`."""

from mindcv.programs.benchmark import main

if __name__ == "__main__":
    main()
