"""Tests, files, links, programs and commands that the documents name exist."""

import ast
import re
from pathlib import Path

import pytest
from test_architecture import MAY_IMPORT

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("configs/*/*.md")])
INSTALL = (
    "pip install --retries 1 --extra-index-url https://download.pytorch.org/whl/cpu -r requirements-dev.txt"
)


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def read(name: str | Path) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def names_of_tests(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_test_that_a_document_names_exists(document):
    named = re.findall(r"`(?:tests/)?((?:\w+/)*test_\w+\.py)(?:::(\w+))?`", read(document))
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (ROOT / "tests" / file).is_file()
        or (name and name not in names_of_tests(ROOT / "tests" / file))
    ]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_file_that_a_document_links_to_exists(document):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", read(document))
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_file_of_the_project_that_a_document_names_exists(document):
    named = set(re.findall(r"`((?:mindcv|tools|tests|configs|docs)(?:/[\w.]+)+)/?`", read(document)))
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_program_and_recipe_that_a_document_runs_exists(document):
    text = read(document)
    files = {f"{module.replace('.', '/')}.py" for module in re.findall(r"python -m (tools\.[a-z_]+)", text)}
    files.update(re.findall(r"(?:python|True) (\w+\.py)", text))
    files.update(re.findall(r"-c (configs/\S+?\.yaml)", text))
    assert [path for path in sorted(files) if not (ROOT / path).is_file()] == []


def test_commands_for_development_are_the_same_everywhere():
    for name in ("README.md", "README_CN.md", "CONTRIBUTING.md"):
        assert INSTALL in read(name)
        assert "pytest -n 2 --dist loadfile" in read(name)
    ci = read(".ci/run").splitlines()
    assert INSTALL.replace("install", "install --quiet") in ci
    assert "pytest -n 2 --dist loadfile" in {line.split("  #")[0] for line in ci}


def test_the_hosted_ci_calls_the_same_script_on_every_supported_python():
    workflow = read(".github/workflows/ci.yml")
    assert re.findall(r"- run: (.*)", workflow) == ["bash .ci/run"]
    assert 'python: ["3.10", "3.11", "3.12"]' in workflow
    assert 'requires-python = ">=3.10,<3.13"' in read("pyproject.toml")


def test_the_guide_to_the_architecture_describes_every_package():
    (table,) = re.findall(r"## Packages\n(.*?)\n## ", read("docs/architecture.md"), re.DOTALL)
    described = {name.split(".")[0] for name in re.findall(r"`mindcv/([\w.]+)`", table)}
    assert described == set(MAY_IMPORT) - {"mindcv", "version", "__main__"}


def test_every_comparison_of_numbers_names_its_tests():
    rows = [line.split("|") for line in read("docs/fidelity.md").splitlines() if line[:2] == "| "]
    compared = [row for row in rows if row[1].strip() not in ("point", "what")]
    points = {int(row[1]) for row in compared if row[1].strip().isdigit()}
    assert points == set(range(1, 12))
    named = re.compile(r"(?:`(?:\w+/)*test_\w+\.py::test_\w+`(?:, )?)+")
    assert [row[1:3] for row in compared if not named.fullmatch(row[-2].strip())] == []


def test_faults_are_listed_with_their_tests():
    rows = [line for line in read("docs/reliability.md").splitlines() if line[:2] == "| "]
    faults = [row for row in rows if not row.startswith("| fault ")]
    assert len(faults) > 30
    assert [row for row in faults if ".py" not in row.split("|")[3]] == []
