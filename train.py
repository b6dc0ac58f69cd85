"""Train a network: `python train.py -c configs/mnasnet/mnasnet0.75_gpu.yaml --data_dir /path/to/imagenet`."""

from mindcv.programs.train import main

if __name__ == "__main__":
    main()
