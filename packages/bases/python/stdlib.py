"""Turns the interpreter's standard library into one archive of byte-code.

Run once, in the build, by the chiselled interpreter inside its own root. Extension modules stay
files, because they cannot be loaded from an archive; everything else is compiled, packed into
/usr/lib/python313.zip, where CPython looks first, and removed. The archive holds code without
source and documentation: tracebacks through the standard library still name module, function and line.
"""

import os
import shutil
import zipfile
from pathlib import Path

from undocument import byte_code

LIBRARY = Path("/usr/lib/python3.13")
ARCHIVE = Path("/usr/lib/python313.zip")

# What no service of ours can use: nothing is installed, tested or drawn in an image, nobody sits
# at a terminal in it, and none of them opens SQLite, DBM or legacy East Asian encodings (texts
# arrive as UTF-8 JSON).
UNUSED_MODULES = """
    _android_support.py _apple_support.py _ios_support.py curses dbm ensurepip idlelib lib2to3 pydoc_data
    sitecustomize.py sqlite3 test tkinter turtle.py turtledemo venv
"""
UNUSED_EXTENSIONS = """
    _bz2 _codecs_cn _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw _ctypes_test _curses
    _curses_panel _dbm _lzma _multibytecodec _sqlite3 _testbuffer _testcapi _testclinic
    _testclinic_limited _testexternalinspection _testimportmultiple _testinternalcapi _testlimitedcapi
    _testmultiphase _testsinglephase _uuid _xxtestfuzz readline xxlimited xxlimited_35 xxsubtype
"""
# Any one moment will do, as long as it is always the same.
ENTRY_TIME = (1980, 1, 1, 0, 0, 0)


def main() -> None:
    """Prune, pack and remove."""
    for name in UNUSED_MODULES.split():
        remove(LIBRARY / name)
    for extension in (LIBRARY / "lib-dynload").iterdir():
        if extension.name.split(".")[0] in UNUSED_EXTENSIONS.split():
            extension.unlink()
    entries = sorted(path for path in LIBRARY.rglob("*.py") if "lib-dynload" not in path.parts)
    with zipfile.ZipFile(ARCHIVE, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for source in entries:
            archive.writestr(*entry(source))
    # os.py's neighbour lib-dynload and the archive itself are how CPython recognises its prefix.
    for path in LIBRARY.iterdir():
        if path.name != "lib-dynload":
            remove(path)


def entry(source: Path) -> tuple[zipfile.ZipInfo, bytes]:
    """The archive's entry for one module: its name and its byte-code."""
    name = source.relative_to(LIBRARY).with_suffix(".pyc")
    info = zipfile.ZipInfo(str(name), ENTRY_TIME)
    info.external_attr = 0o644 << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info, byte_code(source.read_bytes(), str(source))


def remove(path: Path) -> None:
    """Delete a file, a link or a folder; what is not there already is no fault."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


if __name__ == "__main__":
    main()
