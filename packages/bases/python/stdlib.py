"""Pack the standard library into one archive of byte-code, /usr/lib/python313.zip.

Runs once, in the build, under the chiselled interpreter inside its own root. CPython searches the
archive first. Extension modules stay files, because they cannot be loaded from an archive. The
archive has no sources and no docstrings; tracebacks still show module, function and line.
"""

import os
import shutil
import zipfile
from pathlib import Path

from undocument import byte_code

LIBRARY = Path("/usr/lib/python3.13")
ARCHIVE = Path("/usr/lib/python313.zip")

# Modules that no service uses: installers, tests, GUI and terminal support, SQLite, DBM, legacy East Asian encodings
# (texts arrive as UTF-8 JSON), and those of OpenSSL. CPython supports Pythons without it: asyncio and http.client then
# have no TLS, and hashlib has its own verified algorithms, but no scrypt.
UNUSED_MODULES = """
    _android_support.py _apple_support.py _ios_support.py curses dbm ensurepip idlelib lib2to3 pydoc_data
    sitecustomize.py sqlite3 ssl.py test tkinter turtle.py turtledemo venv
"""
UNUSED_EXTENSIONS = """
    _bz2 _codecs_cn _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw _ctypes_test _curses
    _curses_panel _dbm _hashlib _lzma _multibytecodec _sqlite3 _ssl _testbuffer _testcapi _testclinic
    _testclinic_limited _testexternalinspection _testimportmultiple _testinternalcapi _testlimitedcapi
    _testmultiphase _testsinglephase _uuid _xxtestfuzz readline xxlimited xxlimited_35 xxsubtype
"""
# Any fixed time will do: it makes the archive reproducible.
ENTRY_TIME = (1980, 1, 1, 0, 0, 0)


def main() -> None:
    """Remove unused modules, pack the rest and delete the packed files."""
    for name in UNUSED_MODULES.split():
        remove(LIBRARY / name)
    for extension in (LIBRARY / "lib-dynload").iterdir():
        if extension.name.split(".")[0] in UNUSED_EXTENSIONS.split():
            extension.unlink()
    entries = sorted(path for path in LIBRARY.rglob("*.py") if "lib-dynload" not in path.parts)
    with zipfile.ZipFile(ARCHIVE, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for source in entries:
            archive.writestr(*entry(source))
    # CPython recognises its prefix by lib-dynload and the archive.
    for path in LIBRARY.iterdir():
        if path.name != "lib-dynload":
            remove(path)


def entry(source: Path) -> tuple[zipfile.ZipInfo, bytes]:
    """The archive entry of one module: its name and byte-code."""
    name = source.relative_to(LIBRARY).with_suffix(".pyc")
    info = zipfile.ZipInfo(str(name), ENTRY_TIME)
    info.external_attr = 0o644 << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info, byte_code(source.read_bytes(), str(source))


def remove(path: Path) -> None:
    """Delete a file, link or folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


if __name__ == "__main__":
    main()
