# MindSpore declares its types only in part, and some of them wrongly: to the type checker it is all Any.
from typing import Any

def __getattr__(name: str) -> Any: ...
