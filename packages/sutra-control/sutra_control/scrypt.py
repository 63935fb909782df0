"""scrypt (RFC 7914): OpenSSL's where Python has it, as in the original image, otherwise libsodium's.

Both give the same bytes, so that a hash made with one is valid with the other. Neither holds Python's lock meanwhile.
"""

import ctypes
import hashlib
import os

# The soname of Debian's libsodium23. Its functions are declared in sodium/crypto_pwhash_scryptsalsa208sha256.h.
LIBSODIUM = "libsodium.so.23"
DIGEST_BYTES = 32


def with_openssl(secret: bytes, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    """The hash, DIGEST_BYTES long."""
    # OpenSSL's default limit, 32 MB, is less than users.py allows.
    maximum = 2 * 128 * cost * block
    return hashlib.scrypt(secret, salt=salt, n=cost, r=block, p=parallel, maxmem=maximum, dklen=DIGEST_BYTES)


class Libsodium:
    """libsodium's scrypt. Raises OSError if the library is missing."""

    def __init__(self) -> None:
        library = ctypes.CDLL(LIBSODIUM, use_errno=True)
        # Chooses the fastest code for this processor; until then, the slowest is used. 1 means it was called before.
        if library.sodium_init() < 0:
            raise OSError(f"{LIBSODIUM} cannot start")
        self._hash = library.crypto_pwhash_scryptsalsa208sha256_ll
        text, size = ctypes.c_char_p, ctypes.c_size_t
        self._hash.argtypes = (text, size, text, size, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint32, text, size)

    def __call__(self, secret: bytes, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
        """The hash, DIGEST_BYTES long. Raises OSError if there is too little memory."""
        made = ctypes.create_string_buffer(DIGEST_BYTES)
        if self._hash(secret, len(secret), salt, len(salt), cost, block, parallel, made, DIGEST_BYTES):
            raise OSError(ctypes.get_errno(), f"scrypt: {os.strerror(ctypes.get_errno())}")
        return made.raw


scrypt = with_openssl if hasattr(hashlib, "scrypt") else Libsodium()
