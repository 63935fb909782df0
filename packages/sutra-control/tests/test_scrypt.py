import pytest

from sutra_control import scrypt
from sutra_control.users import MAX_COST, MAX_PARALLEL

IMPLEMENTATIONS = [scrypt.with_openssl, scrypt.Libsodium()]


@pytest.mark.parametrize("hashed", IMPLEMENTATIONS)
@pytest.mark.parametrize(
    ("secret", "salt", "parameters", "digest"),
    [
        # RFC 7914, section 12, truncated.
        (b"", b"", (16, 1, 1), "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"),
        (b"password", b"NaCl", (1024, 8, 16), "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"),
        (
            b"pleaseletmein",
            b"SodiumChloride",
            (16384, 8, 1),
            "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2",
        ),
    ],
)
def test_the_vectors_of_the_rfc(
    hashed: scrypt.Libsodium, secret: bytes, salt: bytes, parameters: tuple[int, int, int], digest: str
) -> None:
    assert hashed(secret, salt, *parameters).hex() == digest


@pytest.mark.parametrize("secret", [b"", b"a\x00b", "größer".encode(), b"\xed\xa0\x80", b"x" * 10_000])
def test_both_give_the_same(secret: bytes) -> None:
    first, second = (hashed(secret, b"\x00salt" * 4, 2**14, 8, 1) for hashed in IMPLEMENTATIONS)
    assert first == second


@pytest.mark.parametrize("parameters", [(MAX_COST, 8, MAX_PARALLEL), (2**14, 32, 1)])
def test_both_accept_the_strongest_parameters(parameters: tuple[int, int, int]) -> None:
    first, second = (hashed(b"secret", b"salt" * 4, *parameters) for hashed in IMPLEMENTATIONS)
    assert first == second


def test_too_little_memory_is_an_error() -> None:
    with pytest.raises(OSError, match="scrypt: "):
        scrypt.Libsodium()(b"secret", b"salt", 2**40, 2**20, 1)
