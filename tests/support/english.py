"""A linter for English: expressions that are always wrong in this project, and what to use instead."""

import ast
import io
import re
import tokenize
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["RULES", "Finding", "Rule", "check_chinese", "check_code", "check_text"]


class Rule(NamedTuple):
    """An expression that is always wrong.

    Args:
        pattern: Regular expression between word boundaries. A blank in it matches any white space.
        instead: What to use instead.
        wrong: A sentence that the rule finds.
        right: A similar sentence that it does not find.
    """

    pattern: str
    instead: str
    wrong: str
    right: str


class Finding(NamedTuple):
    """A place where a rule applies."""

    place: str
    found: str
    instead: str


PER = "class|split|batch|step|epoch|run|channel|second|device|rank|update|option|image"
RULES = (
    Rule(
        r"(?<!there )is no (option|count|batch|folder|file|image|class|model|checkpoint|integer|mapping)",
        "unknown option, must be a positive integer, not a folder, ...",
        "'lerning_rate' is no option",
        "there is no option for it, and it is no longer needed",
    ),
    Rule(
        r"is no (finite |whole )?number|no finite number any ?more|are no numbers",
        "becomes NaN or infinite, is not a number",
        "a loss that is no finite number any more",
        "there is a finite number of images",
    ),
    Rule(r"mend(s|ed|ing)?", "fix", "says how to mend it", "we recommend amended files"),
    Rule(r"minded", "adjusted", "the epsilon is minded", "a like-mindedness of sorts"),
    Rule(r"spare[sd]", "excluded", "the classifier is spared", "a spare disk"),
    Rule(r"passed over", "skipped", "hidden files are passed over", "it passes over the images twice"),
    Rule(r"told of", "given, informed about", "told of an epoch", "it told us"),
    Rule(r"(is|are) told", "reported", "options that differ are told", "the epoch tells"),
    Rule(
        r"(go|goes|going|went|gone) on (with|from|where)",
        "resume from, continue with",
        "the run goes on with its state",
        "what happens next goes on the device",
    ),
    Rule(r"tak(es|en) up", "resumes, restores, absorbs", "takes up an earlier state", "it takes the state"),
    Rule(r"anew", "again", "would be compiled anew", "a new one is compiled"),
    Rule(r"afresh", "randomly initialized, again", "the classifier starts afresh", "a fresh start"),
    Rule(r"comes? twice", "is duplicated", "a name comes twice", "it is called twice"),
    Rule(
        r"has not (a|an|the|any|enough|this|that)|has not(?=[.,;:])",
        "lacks, does not have",
        "a file that has not the key",
        "it has not been measured and has not changed",
    ),
    Rule(
        rf"(?<!which )(images|folder|file|line|values?|number|rate|batches|steps|samples|times) an? ({PER})",
        "per (batch size, one folder per class, ...)",
        "one folder a class",
        "which images a rank sees in a batch, one folder per class",
    ),
    Rule(r"batches to an update", "gradient accumulation steps", "batches to an update", "batch and update"),
    Rule(
        r"(?<!matrix )multiplications",
        "MACs",
        "parameters and multiplications",
        "MACs, matrix multiplications",
    ),
    Rule(
        r"(?<!exponential )moving averages?(?! of (the )?(squared )?gradients)",
        "EMA, EMA model, EMA weights",
        "a moving average of the weights",
        "an exponential moving average (EMA), moving averages of the gradients",
    ),
    Rule(r"bare (network|model|cell)s?", "unwrapped model", "the bare network", "a barely used model"),
    Rule(
        r"(is|are|was|were|stays?|newest|last) whole|whole checkpoints?",
        "intact",
        "the newest whole checkpoint is whole",
        "the SHA-256 of the whole file",
    ),
    Rule(r"seal(s|ed|ing)?", "checksum", "a sealed file", "a sea of files"),
    Rule(r"first choice", "hard label (argmax)", "the teacher's first choice", "the first class chosen"),
    Rule(r"a part (from|between|above)", "a fraction", "give a part from 0 to 1", "take a part of the image"),
    Rule(r"parts? of lr", "fraction of lr", "a part of lr", "a fraction of lr"),
    Rule(r"Circumstances|spell_out_flags", "Environment, expand_flags", "Circumstances", "environment"),
    Rule(r"class Guess|class Expectation", "ClassScore, Reference", "class Guess:", "class ClassScore:"),
)
PATTERNS = [(re.compile(rf"\b(?:{rule.pattern})(?!\w)", re.IGNORECASE), rule.instead) for rule in RULES]
CJK = r"[\u4e00-\u9fff]"
ASCII_PUNCTUATION = re.compile(rf"{CJK}[,.;:!?()]|[)(]{CJK}")


def check_text(text: str, name: str, first_line: int = 1) -> list[Finding]:
    """Find expressions that are always wrong in a text, also across line breaks.

    Args:
        text: The text. Inline code between backticks is not checked.
        name: Name of its file.
        first_line: Number of its first line in the file.
    """
    text = re.sub(r"`[^`]*`", lambda code: "`" + "\n" * code.group().count("\n"), text)
    words, starts, lines = [], [], []
    position = 0
    for number, line in enumerate(text.split("\n"), start=first_line):
        for word in line.lstrip(" #|>").split():
            words.append(word)
            starts.append(position)
            lines.append(number)
            position += len(word) + 1
    joined = " ".join(words)
    return [
        Finding(f"{name}:{lines[bisect_right(starts, match.start()) - 1]}", match.group(), instead)
        for pattern, instead in PATTERNS
        for match in pattern.finditer(joined)
    ]


def check_code(source: str, name: str) -> list[Finding]:
    """Find expressions that are always wrong in docstrings, messages, comments and names of tests.

    Args:
        source: Python code.
        name: Name of its file.
    """
    tree = ast.parse(source)
    texts = [*_strings(tree), *_comments(source), *_names_of_tests(tree)]
    findings = [finding for line, text in texts for finding in check_text(text, name, line)]
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            text = ast.get_docstring(node) or ""
            if text.startswith("What "):
                place = f"{name}:{node.body[0].lineno}"
                findings.append(Finding(place, text[:30], "say what it is or does, verb first"))
    return findings


def check_chinese(text: str, name: str) -> list[Finding]:
    """Find ASCII punctuation beside Chinese characters in Markdown, code excluded."""
    findings, is_code = [], False
    for number, line in enumerate(text.splitlines(), start=1):
        is_code ^= line.startswith("```")
        for match in () if is_code else ASCII_PUNCTUATION.finditer(re.sub(r"`[^`]*`", "`", line)):
            findings.append(Finding(f"{name}:{number}", match.group(), "Chinese punctuation"))
    return findings


def _strings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Docstrings and other strings, where values in f-strings are ``{}``."""
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            pieces = [p.value if isinstance(p, ast.Constant) else "{}" for p in node.values]
            yield node.lineno, "".join(map(str, pieces))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.lineno, node.value


def _comments(source: str) -> Iterator[tuple[int, str]]:
    """Comments; those on successive lines are one text."""
    line, text = 0, ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            number = token.start[0]
            if text and number == line + text.count("\n") + 1:
                text += "\n" + token.string
                continue
            if text:
                yield line, text
            line, text = number, token.string
    if text:
        yield line, text


def _names_of_tests(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.lineno, node.name.replace("_", " ")
