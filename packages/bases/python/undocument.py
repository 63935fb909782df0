"""Turns modules into byte-code without what in them documents: `python -X no_debug_ranges undocument.py FOLDER PREFIX`.

Every source below FOLDER becomes byte-code in its place, without docstrings and without the texts of `Doc("…")`, which
FastAPI hangs on each parameter: every process holds them, no program reads them. Assertions stay, unlike with `-OO`.
Tracebacks still name file (without PREFIX), function and line. `-X no_debug_ranges` leaves out the columns: they are
shown beneath the source's line alone, and there is no source.
"""

import ast
import marshal
import sys
from importlib.util import MAGIC_NUMBER, cache_from_source, source_hash
from pathlib import Path

# PEP 552: the byte-code belongs to the source of that hash, and the source is never looked at.
UNCHECKED_HASH = (1).to_bytes(4, "little")
# anyio's packages read their own source to import modules at the first use; without it, they import all of them.
READS_ITSELF = b"not install_lazy_importer()"


class Undocumented(ast.NodeTransformer):
    """Takes docstrings and the texts of `Doc` out of a tree."""

    def visit(self, node: ast.AST) -> ast.AST:
        """The node without them."""
        match node:
            case ast.Module() | ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                self._drop_docstring(node)
            case ast.Call(func=ast.Name("Doc"), args=[ast.Constant(str()) as text]):
                text.value = ""
        return self.generic_visit(node)

    @staticmethod
    def _drop_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if ast.get_docstring(node, clean=False) is None:
            return
        docstring = node.body.pop(0)
        if not node.body and not isinstance(node, ast.Module):
            node.body.append(ast.copy_location(ast.Pass(), docstring))


def byte_code(content: bytes, shown: str) -> bytes:
    """What a `.pyc` holds of the source `content`, whose file tracebacks name as `shown`."""
    code = compile(Undocumented().visit(ast.parse(content, shown)), shown, "exec", dont_inherit=True)
    return MAGIC_NUMBER + UNCHECKED_HASH + source_hash(content) + marshal.dumps(code)


def undocument(source: Path, prefix: Path) -> None:
    """Put byte-code in the place of `source`; beside it, where it reads itself."""
    content = source.read_bytes()
    made = byte_code(content, f"/{source.relative_to(prefix)}")
    if READS_ITSELF in content:
        cached = Path(cache_from_source(source))
        cached.parent.mkdir(exist_ok=True)
        cached.write_bytes(made)
        return
    source.with_suffix(".pyc").write_bytes(made)
    source.unlink()


def main(folder: Path, prefix: Path) -> None:
    """Replace every module below `folder`."""
    for source in sorted(folder.rglob("*.py")):
        undocument(source, prefix)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
