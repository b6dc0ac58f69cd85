"""Average checkpoints: `python -m tools.average_checkpoints --help`."""

from mindcv.programs.average_checkpoints import main

if __name__ == "__main__":
    main()
