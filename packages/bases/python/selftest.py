"""Check, inside the new root, that every extension and module of the interpreter can be imported.

Runs in the build, once the standard library is packed. Any fault fails the build.
"""

import hashlib
import importlib
import os
import sys
from importlib.util import find_spec
from pathlib import Path

MODULES = """
    argparse asyncio base64 calendar concurrent.futures contextlib csv ctypes dataclasses datetime decimal
    doctest email.message encodings.idna encodings.latin_1 enum fractions gzip hashlib hmac html http.client
    http.server importlib.metadata inspect ipaddress json locale logging.config mimetypes multiprocessing.pool
    pathlib pickle pydoc queue random secrets shutil signal smtplib socket statistics subprocess sysconfig
    tarfile tempfile threading tomllib tracemalloc typing unicodedata unittest.mock urllib.request uuid
    wsgiref xml.etree.ElementTree zipfile zoneinfo
"""
# FIPS 180-4's "abc", by the algorithm: CPython's own, because OpenSSL is left out.
DIGESTS = {"md5": "900150983cd2", "sha1": "a9993e364706", "sha256": "ba7816bf8f01", "sha512": "ddaf35a19361"}


def main() -> None:
    """Run every check, then report all faults at once."""
    faults: list[str] = []
    extensions = Path("/usr/lib/python3.13/lib-dynload").glob("*.so")
    for name in [*(path.name.split(".")[0] for path in extensions), *MODULES.split()]:
        try:
            importlib.import_module(name)
        except ImportError as error:
            faults.append(f"{name}: {error}")
    if find_spec("ssl") or find_spec("_ssl") or find_spec("_hashlib"):
        faults.append("a module of OpenSSL was not removed")
    for name, digest in DIGESTS.items():
        if not hashlib.new(name, b"abc").hexdigest().startswith(digest):
            faults.append(f"hashlib: wrong {name}")
    if os.path.lexists("/usr/lib/python3.13/os.py"):
        faults.append("the unpacked standard library was not removed")
    if not str(sys.modules["json"].__file__).startswith("/usr/lib/python313.zip"):
        faults.append("the standard library is not read from its archive")
    if faults:
        sys.exit("base image is incomplete:\n  " + "\n  ".join(faults))


if __name__ == "__main__":
    main()
