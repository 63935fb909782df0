"""Replace modules with byte-code without documentation: `python -X no_debug_ranges undocument.py FOLDER PREFIX`.

Removes docstrings and the texts of `Doc("…")`, FastAPI's parameter documentation, which would only take memory in every
process. Keeps assertions, unlike `-OO`. Tracebacks still show file (without PREFIX), function and line.
`-X no_debug_ranges` drops column positions, which are only shown with the source.
"""

import ast
import marshal
import sys
from importlib.util import MAGIC_NUMBER, cache_from_source, source_hash
from pathlib import Path

# PEP 552: hash-based byte-code that is never checked against its source.
UNCHECKED_HASH = (1).to_bytes(4, "little")
# anyio's packages read their own source to import submodules lazily; without it they import everything.
READS_ITSELF = b"not install_lazy_importer()"


class Undocumented(ast.NodeTransformer):
    """Removes docstrings and the texts of `Doc` from a syntax tree."""

    def visit(self, node: ast.AST) -> ast.AST:
        """Remove them from `node` and its children."""
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
    """The contents of the `.pyc` of source `content`; `shown` is the file name in tracebacks."""
    code = compile(Undocumented().visit(ast.parse(content, shown)), shown, "exec", dont_inherit=True)
    return MAGIC_NUMBER + UNCHECKED_HASH + source_hash(content) + marshal.dumps(code)


def undocument(source: Path, prefix: Path) -> None:
    """Replace `source` with byte-code; a module that reads its own source keeps it."""
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
    """Replace every module in `folder`."""
    for source in sorted(folder.rglob("*.py")):
        undocument(source, prefix)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
