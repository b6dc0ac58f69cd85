"""Measure a recipe's input alone: `python -m tools.benchmark_input -c recipe.yaml --data_dir images`."""

from mindcv.programs.benchmark_input import main

if __name__ == "__main__":
    main()
