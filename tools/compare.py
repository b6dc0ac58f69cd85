"""Compare the speed on a CPU with other libraries: `python -m tools.compare --help`."""

from mindcv.programs.compare import main

if __name__ == "__main__":
    main()
