"""Add a checksum to files of weights: `python -m tools.add_checksum mnasnet_100.ckpt timm.safetensors`."""

from mindcv.programs.add_checksum import main

if __name__ == "__main__":
    main()
