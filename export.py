"""Export a network: `python export.py --ckpt_path FILE --format onnx --output mnasnet.onnx`."""

from mindcv.programs.export import main

if __name__ == "__main__":
    main()
