"""Add a checksum to files of weights: `python -m tools.seal mnasnet_100.ckpt timm.safetensors`."""

from mindcv.programs.seal import main

if __name__ == "__main__":
    main()
