"""Find a learning rate: `python -m tools.find_learning_rate -c RECIPE.yaml`."""

from mindcv.programs.find_learning_rate import main

if __name__ == "__main__":
    main()
