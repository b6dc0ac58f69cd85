"""Convert weights: `python -m tools.convert mnasnet_100.safetensors mnasnet_100.ckpt --model mnasnet_100`."""

from mindcv.programs.convert import main

if __name__ == "__main__":
    main()
