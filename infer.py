"""Classify images: `python infer.py PHOTO FOLDER 'holiday/*.jpg' --ckpt_path ckpt/mnasnet_100_best.ckpt`."""

from mindcv.programs.infer import main

if __name__ == "__main__":
    main()
