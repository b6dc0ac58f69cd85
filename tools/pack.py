"""Pack an image folder into MindRecord files: `python -m tools.pack DATA_DIR OUTPUT`."""

from mindcv.programs.pack import main

if __name__ == "__main__":
    main()
