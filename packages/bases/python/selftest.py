"""Check, inside the new root, that every extension and module of the interpreter can be imported.

Runs in the build, once the standard library is packed. Any fault fails the build.
"""

import importlib
import os
import ssl
import sys
from pathlib import Path

MODULES = """
    argparse asyncio base64 calendar concurrent.futures contextlib csv ctypes dataclasses datetime decimal
    doctest email.message encodings.idna encodings.latin_1 enum fractions gzip hashlib hmac html http.client
    http.server importlib.metadata inspect ipaddress json locale logging.config mimetypes multiprocessing.pool
    pathlib pickle pydoc queue random secrets shutil signal smtplib socket statistics subprocess sysconfig
    tarfile tempfile threading tomllib tracemalloc typing unicodedata unittest.mock urllib.request uuid
    wsgiref xml.etree.ElementTree zipfile zoneinfo
"""
# Mozilla's bundle has about 150; far fewer would mean that it is truncated.
FEWEST_AUTHORITIES = 50


def main() -> None:
    """Run every check, then report all faults at once."""
    faults: list[str] = []
    extensions = Path("/usr/lib/python3.13/lib-dynload").glob("*.so")
    for name in [*(path.name.split(".")[0] for path in extensions), *MODULES.split()]:
        try:
            importlib.import_module(name)
        except ImportError as error:
            faults.append(f"{name}: {error}")
    if len(ssl.create_default_context().get_ca_certs()) < FEWEST_AUTHORITIES:
        faults.append("ssl: the default context found no certificate bundle")
    if os.path.lexists("/usr/lib/python3.13/os.py"):
        faults.append("the unpacked standard library was not removed")
    if not str(sys.modules["json"].__file__).startswith("/usr/lib/python313.zip"):
        faults.append("the standard library is not read from its archive")
    if faults:
        sys.exit("base image is incomplete:\n  " + "\n  ".join(faults))


if __name__ == "__main__":
    main()
