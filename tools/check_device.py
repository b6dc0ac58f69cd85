"""Check a device: `python -m tools.check_device --help`."""

from mindcv.programs.check_device import main

if __name__ == "__main__":
    main()
