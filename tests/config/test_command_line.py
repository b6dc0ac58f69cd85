"""Which arguments of a command line belong to an option."""

import pytest

from mindcv.config.command_line import positional_args


@pytest.mark.parametrize(
    ("argv", "found", "options"),
    [
        (["a", "--lr", "1", "b c"], ["a", "b c"], ["--lr", "1"]),
        (["--lr=1", "a", "-c", "r.yaml", "b"], ["a", "b"], ["--lr=1", "-c", "r.yaml"]),
        (["-cr.yaml", "a", "--config", "r.yaml"], ["a"], ["-cr.yaml", "--config", "r.yaml"]),
        (["a", "--ema", "--lr", "1"], ["a"], ["--ema", "true", "--lr", "1"]),
        (["a", "--ema", "false", "b", "--ema"], ["a", "b"], ["--ema", "false", "--ema", "true"]),
        (["--unknown", "a", "b"], ["b"], ["--unknown", "a"]),
        (["--print_config", "a"], ["a"], ["--print_config"]),
        (["--lr", "1", "--", "--odd.jpg", "-c"], ["--odd.jpg", "-c"], ["--lr", "1"]),
        (["--mean", "[1]", "--min_lr", "-1", "-"], ["-"], ["--mean", "[1]", "--min_lr", "-1"]),
        (["--lr"], [], ["--lr"]),
        ([], [], []),
    ],
)
def test_arguments_are_positional_if_they_are_neither_options_nor_their_values(argv, found, options):
    assert positional_args(argv) == (found, options)
