"""Compare the training input with torchvision's and MindCV's: `python -m tools.compare_input DATA_DIR`."""

from mindcv.programs.compare_input import main

if __name__ == "__main__":
    main()
