"""The house's rules, read from the syntax of every file: who imports whom, and how long things may be."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FACTORIES = {"models", "data", "loss", "optim", "scheduler", "step"}
LEAVES = {"choices", "ranges", "runtime", "errors", "files", "structure"}
COMPUTING = {"models", "optim", "step"}  # what has kernels for the CPU

# Rooms of the package, and which others each may import; `mindcv` is the package's own `__init__`.
MAY_IMPORT = {
    "mindcv": {"runtime", "version", "models", "data", "loss", "optim", "scheduler", "utils"},
    "__main__": {"programs", "errors", "runtime", "version"},
    "version": set(),
    "choices": set(),
    "errors": set(),
    "ranges": {"errors"},
    "structure": {"errors"},
    "runtime": LEAVES,
    "files": LEAVES,
    "config": {"choices", "errors", "ranges", "runtime"},  # of runtime, what reports a mistake
    "kernels": LEAVES,
    **dict.fromkeys(FACTORIES - COMPUTING, LEAVES),
    **{room: {"kernels", *LEAVES} for room in COMPUTING},
    "engine": {"step", *LEAVES},
    "inference": LEAVES,
    "report": LEAVES,
    "export": LEAVES,
    "device_check": {"engine", "export", "version", *FACTORIES, *LEAVES},
    "build": {"config", "engine", "inference", "export", "report", "version", *FACTORIES, *LEAVES},
    "programs": {
        *("build", "config", "device_check", "engine", "inference", "export", "report", "models", "data"),
        *LEAVES,
    },
    "utils": {"build", "config", "engine", "inference", "export", *FACTORIES, *LEAVES},
}

LINES = 300
LINES_OF_A_FUNCTION = 60  # without its docstring


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PACKAGE = {module_name(path): path for path in sorted((ROOT / "mindcv").rglob("*.py"))}
DOORS = {module_name(path): path for path in sorted([*ROOT.glob("*.py"), *(ROOT / "tools").glob("*.py")])}
CODE = {**PACKAGE, **DOORS}
TESTS = {module_name(path): path for path in sorted((ROOT / "tests").rglob("*.py"))}
EVERYTHING = {**CODE, **TESTS}


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> set[str]:
    """Absolute names of all modules that a file imports, wherever in it the import stands."""
    found = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively, which this test does not read"
            # `from mindcv import loss` imports a module, `from mindcv import create_model` a value.
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            found.update(name if name in CODE else str(node.module) for name in names)
    return found


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else module


def rooms(path: Path) -> set[str]:
    """Rooms of the package that a file imports."""
    return {room(name) for name in imports(path) if name.split(".")[0] == "mindcv"}


def test_imports_are_found_wherever_they_stand(tmp_path):
    path = tmp_path / "sample.py"
    path.write_text(
        "import os.path, mindcv\n"
        "from mindcv import loss, create_model\n"
        "def f():\n    import config as c\n    from mindcv.data import Pipeline\n"
    )
    assert imports(path) == {"os.path", "mindcv", "mindcv.loss", "config", "mindcv.data"}
    assert rooms(path) == {"mindcv", "loss", "data"}
    assert len(PACKAGE) > 40
    assert set(DOORS) >= {"train", "validate", "infer", "export", "config", "tools.convert"}


def test_every_room_has_its_rule():
    assert {room(name) for name in PACKAGE} == set(MAY_IMPORT)


@pytest.mark.parametrize("name", PACKAGE)
def test_a_room_imports_only_what_lies_below_it(name):
    own = room(name)
    assert rooms(PACKAGE[name]) <= MAY_IMPORT[own] | {own}
    assert not imports(PACKAGE[name]) & set(DOORS)


def test_no_module_of_the_package_imports_itself_through_others():
    TopologicalSorter({name: imports(path) & set(PACKAGE) for name, path in PACKAGE.items()}).prepare()


def test_sections_need_nothing_but_the_standard_library():
    sections = [path for name, path in PACKAGE.items() if name.startswith("mindcv.config.sections")]
    assert len(sections) > 5
    found = {name for path in sections for name in imports(path)}
    assert {name.split(".")[0] for name in found} <= sys.stdlib_module_names | {"mindcv"}


@pytest.mark.parametrize("name", ["config", "mindcv", "mindcv.config"])
def test_options_are_read_without_mindspore(name):
    script = f"import {name}, sys; print(*({{'mindspore'}} & set(sys.modules)))"
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout == "\n"


def test_only_build_knows_both_the_options_and_the_factories():
    both = {
        room(name)
        for name, path in PACKAGE.items()
        if "mindcv.config" in imports(path) and rooms(path) & FACTORIES
    }
    assert both == {"build"}


@pytest.mark.parametrize("name", DOORS)
def test_a_door_has_no_text_of_its_own(name):
    ours = {imported for imported in imports(DOORS[name]) if imported.split(".")[0] == "mindcv"}
    expected = {"mindcv.config"} if name == "config" else {f"mindcv.programs.{name.split('.')[-1]}"}
    assert ours == expected
    assert len(DOORS[name].read_text(encoding="utf-8").splitlines()) < 10


@pytest.mark.parametrize("name", [name for name, path in CODE.items() if path.name == "__init__.py"])
def test_a_package_says_what_it_offers(name):
    statements = parse(CODE[name]).body
    everywhere = ast.walk(parse(CODE[name]))  # some names are imported when they are asked for
    bound = {a.asname or a.name for s in everywhere if isinstance(s, ast.ImportFrom) for a in s.names}
    exported = [
        s.value for s in statements if isinstance(s, ast.Assign) and ast.unparse(s.targets[0]) == "__all__"
    ]
    assert len(exported) == bool(bound)
    for names in exported:
        assert set(ast.literal_eval(names)) <= bound


def test_files_are_short():
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in EVERYTHING.items()}
    assert {name: length for name, length in lengths.items() if length >= LINES} == {}


def test_functions_are_short():
    functions = {
        f"{name}.{node.name}": code_lines(node)
        for name, path in CODE.items()
        for node in ast.walk(parse(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    assert len(functions) > 200
    assert {name: lines for name, lines in functions.items() if lines >= LINES_OF_A_FUNCTION} == {}


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    first = function.body[0]
    documentation = length(first) if ast.get_docstring(function) is not None else 0
    return length(function) - documentation


def length(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_no_file_imports_a_star():
    stars = [
        name
        for name, path in EVERYTHING.items()
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
    ]
    assert stars == []


@pytest.mark.parametrize("name", CODE)
def test_what_is_imported_is_written_in_an_import(name):
    """No change of the search path, no module by a name that is made at run time."""
    nodes = list(ast.walk(parse(CODE[name])))
    used = {ast.unparse(node) for node in nodes if isinstance(node, (ast.Name, ast.Attribute))}
    used |= {
        f"{node.module}.{alias.name}"
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    hidden = {"sys.path", "site.addsitedir", "importlib.import_module", "__import__", "exec", "eval"}
    assert not used & hidden
