"""Random configuration files and command lines, most of them wrong, by seed and number."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mindcv.config import OPTIONS
from mindcv.config.loading import ALIASES
from mindcv.config.mindcv_files import MINDCV_OFF
from tests.support.paths import ROOT

__all__ = ["PROGRAMS", "Case", "fuzzed_case"]

RECIPES = [path.read_text() for path in sorted((ROOT / "configs" / "mnasnet").glob("*.yaml"))]
PROGRAMS = (
    *("infer", "export", "convert", "summary", "benchmark"),
    *("average_checkpoints", "find_learning_rate", "measure_scaling", "add_checksum"),
)
WORDS = [
    *("lr", "mode", "a", "null", "~", "true", "Yes", "off", "NO", "none", "auto", "sgd", "SGD", "top_k"),
    *(
        "backbone",
        "random",
        "O2",
        "0",
        "1",
        "-1",
        "3",
        "2.0",
        "1e-5",
        "-1e5",
        "1e999",
        ".inf",
        "-.inf",
        ".nan",
    ),
    *(
        "017",
        "0o17",
        "0x1f",
        "12:30",
        "1_000",
        "2020-01-01",
        "2147483647",
        "2147483648",
        "9" * 25,
        "9" * 5000,
    ),
    *(
        "0.1",
        ".5",
        "5.",
        "[]",
        "[1]",
        "[0.5, 1]",
        "[1, 2, 3]",
        "[.nan, 1]",
        "{}",
        "{a: 1}",
        "[[[[[[[[[[1]]]]]]]]]]",
    ),
    *(
        "''",
        '""',
        '"\\0"',
        '"\\ud800"',
        "'1'",
        "x" * 5000,
        "é",
        "图",
        "\u202e",
        "\u2028",
        "\x85",
        "\xa0",
        "😀",
    ),
    *("\x1b[31m", "\r", "\n", "\t", "\0", "\x07", "\ufeff", "\udcff", "../..", "/dev/zero", "/dev/full", "-"),
    *(
        "rand-m9-mstd0.5",
        "mnasnet_075",
        "a.ckpt",
        "a.onnx",
        "%",
        "%(default)s",
        "{0}",
        "$HOME",
        "`id`",
        "a b",
    ),
]
YAML_PIECES = [
    *(
        ": ",
        ":",
        "\n",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "'",
        '"',
        "&b ",
        "*b",
        "<<",
        "|",
        ">",
        "#",
        "---",
        "...",
        "%",
    ),
    *(
        "!!int ",
        "!!bool ",
        "!!set ",
        "!!map ",
        "!!binary ",
        "!!python/object:os.system ",
        "!a ",
        "? ",
        "=",
        "\\",
    ),
    *(" ", "  ", "\n  ", "\n- ", "[*b, *b]", "&c [*b, *b, *b]", "!!timestamp ", "%YAML 1.1\n", "@", "`"),
]
KEYS = [*OPTIONS, *ALIASES, *MINDCV_OFF, "filter_bias_and_bn", "amp_cast_list"]


@dataclass
class Case:
    """A command line, and the file after its -c.

    Args:
        program: One of `PROGRAMS`, or None for the options alone.
        argv: Arguments; FILE stands for the file.
        content: Content of the file; None without one.
        stored: Options as a checkpoint stores them.
    """

    program: str | None = None
    argv: list[str] = field(default_factory=list)
    content: bytes | None = None
    stored: dict[str, Any] = field(default_factory=dict)


def fuzzed_case(seed: int, number: int) -> Case:
    """Return a case."""
    draw = random.Random(seed * 1_000_003 + number)
    case = Case()
    kind = draw.choices(["recipe", "mapping", "pieces", "argv", "stored", "program"], [5, 4, 2, 5, 1, 2])[0]
    if kind == "recipe":
        case.content = _mutated(draw, draw.choice(RECIPES))
    elif kind == "mapping":
        case.content = _mapping(draw)
    elif kind == "pieces":
        pieces = [draw.choice(draw.choice([WORDS, YAML_PIECES, KEYS])) for _ in range(draw.randint(1, 30))]
        times = draw.choice([1, 1, 1, 50, 2000])
        case.content = _encoded(("".join(pieces)[: 100_000 // times]) * times)
    elif kind == "stored":
        case.stored = {draw.choice(KEYS): _value(draw) for _ in range(draw.randint(1, 5))}
    elif kind == "program":
        case.program = draw.choice(PROGRAMS)
    if kind in ("argv", "program") or draw.random() < 0.3:
        case.argv = _arguments(draw)
    if case.content is not None:
        case.argv[:0] = draw.choice([["-c", "FILE"], ["--config=FILE"]])
    return case


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", errors="surrogateescape" if "\udcff" in text else "surrogatepass")


def _mutated(draw: random.Random, text: str) -> bytes:
    """A recipe with one change or a few."""
    changes: list[Callable[[list[str], int], None]] = [
        lambda lines, i: lines.insert(i, f"{draw.choice(KEYS)}: {draw.choice(WORDS)}"),
        lambda lines, i: lines.__setitem__(i, f"{lines[i].partition(':')[0]}: {draw.choice(WORDS)}"),
        lambda lines, i: lines.__setitem__(i, lines[i] + draw.choice(YAML_PIECES)),
        lambda lines, i: lines.__setitem__(i, draw.choice(YAML_PIECES) + lines[i]),
        lambda lines, i: lines.__setitem__(i, lines[i].replace(": ", f": {draw.choice(YAML_PIECES)}")),
        lambda lines, i: lines.__setitem__(i, _with_noise(draw, lines[i])),
        lambda lines, i: lines.insert(i, lines[draw.randrange(len(lines))]),
        lambda lines, i: lines.__delitem__(i),
        lambda lines, i: lines.__setitem__(i, lines[i] * draw.choice([2, 100])),
    ]
    lines = text.splitlines()
    for _ in range(draw.choice([0, 1, 1, 1, 2, 4])):
        draw.choice(changes)(lines, draw.randrange(len(lines)))
    content = _encoded("\n".join(lines))
    return content[: draw.randrange(len(content))] if draw.random() < 0.05 else content


def _with_noise(draw: random.Random, line: str) -> str:
    position = draw.randint(0, len(line))
    return line[:position] + chr(draw.choice([draw.randrange(128), draw.randrange(0xD800)])) + line[position:]


def _mapping(draw: random.Random) -> bytes:
    """A mapping in JSON, which YAML contains, or with values as they are."""
    keys = [draw.choice(KEYS) for _ in range(draw.randint(1, 6))]
    if draw.random() < 0.5:
        values = {key: _value(draw) for key in keys}
        return _encoded(json.dumps(values, ensure_ascii=draw.random() < 0.5))
    return _encoded("\n".join(f"{key}: {draw.choice(WORDS)}" for key in keys))


def _value(draw: random.Random, depth: int = 0) -> Any:
    kinds: list[Callable[[], Any]] = [
        lambda: draw.choice([None, True, False, 0, 1, 3, 2**31, 2**63, 2**70, -1, 10**300]),
        lambda: draw.choice([0.0, 0.5, 1.0, 2.0, -0.1, 1e-300, 1e300, float("inf"), float("nan")]),
        lambda: draw.uniform(0, 2),
        lambda: draw.randint(0, 300),
        lambda: draw.choice(WORDS),
        lambda: "".join(
            chr(draw.randrange(0xD800)) for _ in range(5 if depth else draw.choice([1, 5, 5000]))
        ),
    ]
    if depth < 3:
        kinds.append(lambda: [_value(draw, depth + 1) for _ in range(draw.choice([0, 1, 2, 3, 500]))])
        kinds.append(lambda: {draw.choice(WORDS): _value(draw, depth + 1)})
    return draw.choice(kinds)()


def _arguments(draw: random.Random) -> list[str]:
    """Options with values, and what else may stand on a command line."""
    arguments = []
    for _ in range(draw.randint(0, 5)):
        name, word = f"--{draw.choice(KEYS)}", draw.choice(WORDS)
        near = _near(draw, name[2:])
        shapes = [
            *([[name, near]] * 6),
            *([[f"{name}={near}"]] * 3),
            *([name, word], [f"{name}={word}"], [name], [word], [_with_noise(draw, name), word]),
            *(["--" + word], ["-c", word], [f"-c{word}"], ["--print_config"], ["--help"], ["-x"], ["--"]),
            *(["--topk", word], ["--format", word], ["--output", word], ["--steps", word], ["--opset", word]),
        ]
        arguments.extend(draw.choice(shapes))
    return [argument.replace("\0", "\\0") for argument in arguments]  # no command line has NUL


def _near(draw: random.Random, key: str) -> str:
    """A text that the option may accept."""
    option = OPTIONS.get(key)
    if option is None:
        return draw.choice(WORDS)
    default = str(list(option.default) if isinstance(option.default, tuple) else option.default)
    return draw.choice([default, default.upper(), str(draw.uniform(0, 1)), str(draw.randint(0, 100)), "true"])
