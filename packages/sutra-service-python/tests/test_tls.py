"""OpenSSL is loaded only when needed. Each test uses its own process, because imports cannot be undone."""

import subprocess
import sys

GUARD_S = 60
START = """
import sys
from sutra_service import tls

with tls.postponed():
    import asyncio, fastapi, hashlib, httpcore, secrets, uvicorn
    from sutra_service.dependency import Dependency

def loaded():
    return {"_ssl", "_hashlib"} & set(sys.modules)
"""
# TLS 1.2 works without a certificate.
HANDSHAKE = """
import socket, ssl, threading

def context(kind):
    made = ssl.SSLContext(kind)
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers("aNULL:@SECLEVEL=0")
    return made

def answer(listener, context):
    connection = context.wrap_socket(listener.accept()[0], server_side=True)
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok")
    connection.close()

listener = socket.create_server(("127.0.0.1", 0))
address = f"https://127.0.0.1:{listener.getsockname()[1]}/"
threading.Thread(target=answer, args=(listener, context(ssl.PROTOCOL_TLS_SERVER)), daemon=True).start()
trust = context(ssl.PROTOCOL_TLS_CLIENT)
trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
"""


def run(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", START + program], capture_output=True, text=True, timeout=GUARD_S, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_service_starts_without_openssl() -> None:
    run("""
assert not loaded(), loaded()
assert hashlib.sha256(b"").hexdigest().startswith("e3b0c44298fc")
assert len(secrets.token_bytes(4)) == 4
""")


def test_a_plain_http_call_does_not_load_openssl() -> None:
    run("""
from sutra_service.errors import ServiceError

async def call():
    try:
        await Dependency("nobody", "http://127.0.0.1:9", "NOBODY_URL", 5).call("GET", "/")
    except ServiceError as error:
        assert error.code == "nobody_unreachable", error.code

asyncio.run(call())
assert not loaded(), loaded()
""")


def test_httpcore_can_use_tls_later() -> None:
    run(
        HANDSHAKE
        + """
async def call():
    async with httpcore.AsyncConnectionPool(ssl_context=trust) as pool:
        return (await pool.request("GET", address)).content

assert asyncio.run(call()) == b"ok"
"""
    )


def test_asyncio_can_use_tls_later() -> None:
    run(
        HANDSHAKE
        + """
async def call():
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.getsockname()[1], ssl=trust)
    writer.write(b"GET / HTTP/1.0\\r\\n\\r\\n")
    return await reader.readuntil(b"ok")

assert asyncio.run(call()).startswith(b"HTTP/1.1 200")
"""
    )


def test_a_name_without_a_placeholder_loads_ssl() -> None:
    run("""
from asyncio import sslproto
assert sslproto.ssl.OPENSSL_VERSION.startswith("OpenSSL")
import ssl
assert sslproto.ssl.SSLContext is ssl.SSLContext
assert sslproto.SSLAgainErrors == (ssl.SSLWantReadError, ssl.SSLSyscallError)
assert not hasattr(sslproto.ssl, "no such name")
""")


def test_placeholders_match_the_real_module() -> None:
    run("""
import ssl
for name, value in tls.PLACEHOLDERS.items():
    real = getattr(ssl, name)
    same = real == value if isinstance(value, int) else issubclass(real, OSError) == issubclass(value, OSError)
    assert same, name
""")


def test_nothing_changes_if_ssl_is_already_loaded() -> None:
    run("""
import ssl, _hashlib
with tls.postponed():
    assert sys.modules["ssl"] is ssl
assert sys.modules["ssl"] is ssl and sys.modules["_hashlib"] is _hashlib
""")
