"""Tests of bases/python/undocument.py, which the base image runs on third-party packages."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "bases/python/undocument.py"
MODULE = '''"""A module."""
from __future__ import annotations
from typing import Annotated

class Doc:
    """Documentation."""
    def __init__(self, text):
        self.text = text

class Empty(Exception):
    """Nothing else in here."""

def checked(value: int, name: Annotated[str, Doc("""A long text.""")] = "kept"):
    """Checks."""
    assert value, "the assertion stays"
    return name
'''
FAILING_LINE = 15
READS_ITSELF = '''"""Reads itself."""
import inspect, sys
def install_lazy_importer():
    return "Reads" in inspect.getsource(sys.modules[__name__])
if not install_lazy_importer():
    raise RuntimeError("no source")
'''


def undocumented(tmp_path: Path, **modules: str) -> Path:
    library = tmp_path / "out/library"
    for name, source in modules.items():
        (library / name).mkdir(parents=True)
        (library / name / "__init__.py").write_text(source, encoding="utf-8")
    subprocess.run([sys.executable, str(SCRIPT), str(library), str(tmp_path / "out")], check=True)
    return library


def load(folder: Path) -> object:
    file = next(folder / name for name in ("__init__.py", "__init__.pyc") if (folder / name).exists())
    spec = importlib.util.spec_from_file_location(f"undocumented_{folder.name}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_only_documentation_is_removed(tmp_path: Path) -> None:
    library = undocumented(tmp_path, package=MODULE)
    assert [file.name for file in (library / "package").iterdir()] == ["__init__.pyc"]
    module = load(library / "package")
    assert [thing.__doc__ for thing in (module, module.Doc, module.Empty, module.checked)] == [None] * 4
    assert module.checked(1) == "kept"
    assert b"A long text." not in (library / "package/__init__.pyc").read_bytes()
    with pytest.raises(AssertionError, match="the assertion stays") as failure:
        module.checked(0)
    last = failure.traceback[-1]
    assert (last.lineno + 1, last.frame.code.raw.co_filename) == (FAILING_LINE, "/library/package/__init__.py")


def test_a_package_that_reads_its_own_source_keeps_it(tmp_path: Path) -> None:
    library = undocumented(tmp_path, lazy=READS_ITSELF)
    assert sorted(file.name for file in (library / "lazy").iterdir()) == ["__init__.py", "__pycache__"]
    assert load(library / "lazy").install_lazy_importer()
