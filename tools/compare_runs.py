"""Compare training runs on one page: `python -m tools.compare_runs ckpt/baseline ckpt/longer`."""

from mindcv.programs.compare_runs import main

if __name__ == "__main__":
    main()
