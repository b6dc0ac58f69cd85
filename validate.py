"""Score a checkpoint: `python validate.py -c RECIPE.yaml --ckpt_path FILE --data_dir DIR`."""

from mindcv.programs.validate import main

if __name__ == "__main__":
    main()
