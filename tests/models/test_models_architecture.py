"""Who may import whom among the models: families know the registry, and nothing shared knows a family."""

import ast
from pathlib import Path

import pytest

MODELS = Path(__file__).parents[2] / "mindcv" / "models"
FAMILIES = {"mnasnet", "mobilenetv2", "mobilenetv3"}
FILES = {".".join(path.relative_to(MODELS).with_suffix("").parts): path for path in MODELS.rglob("*.py")}
SHARED = sorted(set(FILES) - FAMILIES - {"__init__"})


def imported(name: str) -> set[str]:
    """Modules of models that one of them imports."""
    nodes = ast.walk(ast.parse(FILES[name].read_text(encoding="utf-8")))
    names = {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    return {n.removeprefix("mindcv.models.") for n in names if n.startswith("mindcv.models.")}


def test_the_families_are_found():
    registering = {name for name in FILES if "@register_model" in FILES[name].read_text(encoding="utf-8")}
    assert registering - {"registry"} == FAMILIES


@pytest.mark.parametrize("name", SHARED)
def test_no_shared_module_imports_a_family(name):
    assert not imported(name) & FAMILIES


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_a_family_imports_no_other_and_not_what_creates_models(name):
    assert not imported(name) & (FAMILIES | {"factory", "conversion", "weights.network_loading"})


def test_registry_and_weights_know_neither_the_factory_nor_each_other():
    assert imported("registry") == set()
    for name in FILES:
        if name.startswith("weights."):
            assert not {"registry", "factory", "conversion"} & imported(name), name


@pytest.mark.parametrize("name", SHARED)
def test_no_shared_module_names_a_family_in_its_code(name):
    tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
    words = {node.id.lower() for node in ast.walk(tree) if isinstance(node, ast.Name)}
    words |= {node.attr.lower() for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not [word for word in words if "mnasnet" in word or "mobilenet" in word]
