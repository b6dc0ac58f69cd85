"""Print what a model costs: `python -m tools.summary mnasnet_100`."""

from mindcv.programs.summary import main

if __name__ == "__main__":
    main()
