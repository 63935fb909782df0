"""Operators: known by a name and the scrypt hash of a password.

`python -m sutra_control.users new NAME` makes one. The password is random, but people may bring
their own, and a short one has to be slow to try: hence scrypt.
"""

import base64
import hmac
import re
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path

from sutra_service.settings import Environment, SettingError

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
ENTRY = re.compile(
    rf"({NAME})"
    r":scrypt\$([0-9]{1,7})\$([0-9]{1,2})\$([0-9]{1,2})\$([A-Za-z0-9_-]{16,128})\$([A-Za-z0-9_-]{43})"
)
REMEDY = "write NAME:scrypt$N$R$P$SALT$HASH as `python -m sutra_control.users new NAME` prints it"
VARIABLE = "SUTRA_CONTROL_USERS"

# 16 MB and some 60 ms for each try.
COST = 2**14
BLOCK = 8
PARALLEL = 1
# What an entry may ask for. Less is quickly tried; more would take the memory of the container.
LEAST_COST, MOST_COST = 2**14, 2**16
MOST_PARALLEL = 4
MOST_MEMORY = 64 * 1024 * 1024  # MOST_COST with the least block.
DIGEST_BYTES = 32


@dataclass(frozen=True)
class PasswordHash:
    """An scrypt hash with its parameters: `cost` (N), `block` (r), `parallel` (p)."""

    cost: int
    block: int
    parallel: int
    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, password: str) -> "PasswordHash":
        """The hash of `password` with a new salt."""
        salt = secrets.token_bytes(16)
        return cls(COST, BLOCK, PARALLEL, salt, _scrypt(password, COST, BLOCK, PARALLEL, salt))

    @property
    def work(self) -> tuple[int, int, int]:
        """What a try takes: two hashes of the same work take equally long."""
        return self.cost, self.block, self.parallel

    def fits(self, password: str) -> bool:
        """Whether `password` is the one. Takes long on purpose; compares in constant time."""
        return hmac.compare_digest(self.digest, _scrypt(password, self.cost, self.block, self.parallel, self.salt))

    def entry(self) -> str:
        """As it stands in SUTRA_CONTROL_USERS after the name."""
        return f"scrypt${self.cost}${self.block}${self.parallel}${_encode(self.salt)}${_encode(self.digest)}"


class Users:
    """The operators, by name."""

    def __init__(self, hashes: dict[str, PasswordHash]) -> None:
        self._hashes = hashes
        # One hash of each work there is. Every try does all of them, so that the time does not tell which names there
        # are. Entries that were made alike, as they are by default, have one work.
        self._each_work = list({known.work: known for known in hashes.values()}.values())

    def __bool__(self) -> bool:
        """Whether there is any operator."""
        return bool(self._hashes)

    @classmethod
    def read(cls, environment: Environment) -> "Users":
        """The operators of SUTRA_CONTROL_USERS and of the file that SUTRA_CONTROL_USERS_FILE names.

        Entries stand on lines of their own or between commas; `#` begins a comment. Raises
        SettingError for a file that cannot be read and for an entry that is not one.
        """
        hashes: dict[str, PasswordHash] = {}
        file = environment.text(f"{VARIABLE}_FILE")
        if file:
            try:
                content = Path(file).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise SettingError(f"{VARIABLE}_FILE: cannot read {file}: {error}") from error
            _add(hashes, content, f"{VARIABLE}_FILE ({file})")
        _add(hashes, environment.text(VARIABLE), VARIABLE)
        return cls(hashes)

    def fits(self, name: str, password: str) -> bool:
        """Whether `password` is the one of operator `name`. Takes as long for a name that nobody has."""
        known = self._hashes.get(name)
        fitting = False
        for other in self._each_work:
            if known is not None and known.work == other.work:
                fitting = known.fits(password)
            else:
                other.fits(password)
        return fitting


def _scrypt(password: str, cost: int, block: int, parallel: int, salt: bytes) -> bytes:
    # hashlib's own, which it lacks where OpenSSL was left unloaded at the start: see sutra_service.tls.
    from _hashlib import scrypt  # noqa: PLC0415

    return scrypt(
        # A JSON string may hold half of a surrogate pair, which UTF-8 has no form for.
        password.encode("utf-8", "surrogatepass"),
        n=cost,
        r=block,
        p=parallel,
        salt=salt,
        maxmem=2 * MOST_MEMORY,
        dklen=DIGEST_BYTES,
    )


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _add(hashes: dict[str, PasswordHash], content: str, source: str) -> None:
    for number, line in enumerate(content.splitlines(), 1):
        for entry in line.partition("#")[0].split(","):
            if not entry.strip():
                continue
            where = f"{source}, line {number}"
            name, known = _parse(entry.strip(), where)
            if name in hashes:
                raise SettingError(f"{where}: {name} is there twice; give each operator a name of their own")
            hashes[name] = known


def _parse(entry: str, where: str) -> tuple[str, PasswordHash]:
    match = ENTRY.fullmatch(entry)
    # The entry itself is not repeated: it may be a password that was put here by mistake.
    if match is None:
        raise SettingError(f"{where}: an entry is not NAME:scrypt$N$R$P$SALT$HASH; {REMEDY}")
    name, salt, digest = match[1], match[5], match[6]
    cost, block, parallel = int(match[2]), int(match[3]), int(match[4])
    strong = LEAST_COST <= cost <= MOST_COST and cost.bit_count() == 1 and block >= BLOCK
    if not strong or not 1 <= parallel <= MOST_PARALLEL or 128 * cost * block > MOST_MEMORY:
        raise SettingError(
            f"{where}: the hash of {name} has parameters that are not taken; N is a power of two from {LEAST_COST} to "
            f"{MOST_COST}, R at least {BLOCK}, P from 1 to {MOST_PARALLEL}, and 128*N*R at most {MOST_MEMORY}; {REMEDY}"
        )
    try:
        return name, PasswordHash(cost, block, parallel, _decode(salt), _decode(digest))
    except ValueError:
        raise SettingError(f"{where}: the hash of {name} is not base64; {REMEDY}") from None


def main(arguments: list[str]) -> int:
    """Make an operator; returns the exit code (0 made, 2 wrong usage)."""
    if len(arguments) != 2 or arguments[0] != "new" or not re.fullmatch(NAME, arguments[1]):  # noqa: PLR2004
        print("usage: python -m sutra_control.users new NAME   (letters, digits, . _ -)", file=sys.stderr)
        return 2
    password = secrets.token_urlsafe(18)
    print(f"password (shown once, give it to {arguments[1]}): {password}")
    print(f"entry for {VARIABLE}: {arguments[1]}:{PasswordHash.of(password).entry()}")
    print("In a shell or an .env file put the entry between single quotes: it holds dollar signs.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
