"""Operators: their names and the scrypt hashes of their passwords.

`python -m sutra_control.users new NAME` creates one with a random password. scrypt is slow, which
protects short passwords that people choose themselves.
"""

import base64
import hmac
import re
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path

from sutra_service.settings import Environment, SettingError

from sutra_control.scrypt import scrypt

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
ENTRY = re.compile(
    rf"({NAME})"
    r":scrypt\$([0-9]{1,7})\$([0-9]{1,2})\$([0-9]{1,2})\$([A-Za-z0-9_-]{16,128})\$([A-Za-z0-9_-]{43})"
)
REMEDY = "use an entry printed by `python -m sutra_control.users new NAME`"
VARIABLE = "SUTRA_CONTROL_USERS"

# A check takes 16 MB and about 60 ms.
COST = 2**14
BLOCK = 8
PARALLEL = 1
# Allowed parameters: lower ones are too weak, higher ones would exhaust the container's memory.
MIN_COST, MAX_COST = 2**14, 2**16
MAX_PARALLEL = 4
MAX_MEMORY = 64 * 1024 * 1024  # MAX_COST with the smallest block.


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
        """Hash `password` with a new salt."""
        salt = secrets.token_bytes(16)
        return cls(COST, BLOCK, PARALLEL, salt, _scrypt(password, COST, BLOCK, PARALLEL, salt))

    @property
    def work(self) -> tuple[int, int, int]:
        """The parameters that determine how long a check takes."""
        return self.cost, self.block, self.parallel

    def verify(self, password: str) -> bool:
        """Whether `password` is correct. Slow on purpose; compares in constant time."""
        return hmac.compare_digest(self.digest, _scrypt(password, self.cost, self.block, self.parallel, self.salt))

    def entry(self) -> str:
        """The hash, as written after the name in SUTRA_CONTROL_USERS."""
        return f"scrypt${self.cost}${self.block}${self.parallel}${_encode(self.salt)}${_encode(self.digest)}"


class Users:
    """The operators, by name."""

    def __init__(self, hashes: dict[str, PasswordHash]) -> None:
        self._hashes = hashes
        self._each_work = _each_work(hashes)

    def __bool__(self) -> bool:
        """Whether there is any operator."""
        return bool(self._hashes)

    @classmethod
    def read(cls, environment: Environment) -> "Users":
        """Read SUTRA_CONTROL_USERS and the file named by SUTRA_CONTROL_USERS_FILE.

        Entries are separated by newlines or commas; `#` starts a comment. Raises SettingError for an
        unreadable file and for an invalid entry.
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

    def entries(self) -> dict[str, str]:
        """The hash of each operator, as written after the name in SUTRA_CONTROL_USERS."""
        return {name: known.entry() for name, known in self._hashes.items()}

    def replace(self, name: str, known: PasswordHash) -> None:
        """Give operator `name` another password."""
        hashes = {**self._hashes, name: known}
        self._hashes, self._each_work = hashes, _each_work(hashes)

    def verify(self, name: str, password: str) -> bool:
        """Whether `password` is correct for operator `name`. Takes the same time for unknown names."""
        known = self._hashes.get(name)
        valid = False
        for other in self._each_work:
            if known is not None and known.work == other.work:
                valid = known.verify(password)
            else:
                other.verify(password)
        return valid


def _each_work(hashes: dict[str, PasswordHash]) -> list[PasswordHash]:
    """One hash for each set of parameters in use, usually just one.

    Every check computes all of them, so that its time does not reveal which names exist.
    """
    return list({known.work: known for known in hashes.values()}.values())


def _scrypt(password: str, cost: int, block: int, parallel: int, salt: bytes) -> bytes:
    # A JSON string may contain a lone surrogate, which UTF-8 cannot encode.
    return scrypt(password.encode("utf-8", "surrogatepass"), salt, cost, block, parallel)


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
            name, known = parse_entry(entry.strip(), where)
            if name in hashes:
                raise SettingError(f"{where}: duplicate name: {name}; give each operator a different name")
            hashes[name] = known


def parse_entry(entry: str, where: str) -> tuple[str, PasswordHash]:
    """The name and hash of `NAME:scrypt$…`. Raises SettingError, which says `where` but not what it is."""
    match = ENTRY.fullmatch(entry)
    # Never print the entry: it may be a plain password, put here by mistake.
    if match is None:
        raise SettingError(f"{where}: entry is not NAME:scrypt$N$R$P$SALT$HASH; {REMEDY}")
    name, salt, digest = match[1], match[5], match[6]
    cost, block, parallel = int(match[2]), int(match[3]), int(match[4])
    strong = MIN_COST <= cost <= MAX_COST and cost.bit_count() == 1 and block >= BLOCK
    if not strong or not 1 <= parallel <= MAX_PARALLEL or 128 * cost * block > MAX_MEMORY:
        raise SettingError(
            f"{where}: unsupported parameters in the hash of {name}; N must be a power of two from {MIN_COST} to "
            f"{MAX_COST}, R at least {BLOCK}, P from 1 to {MAX_PARALLEL}, and 128*N*R at most {MAX_MEMORY}; {REMEDY}"
        )
    try:
        return name, PasswordHash(cost, block, parallel, _decode(salt), _decode(digest))
    except ValueError:
        raise SettingError(f"{where}: invalid base64 in the hash of {name}; {REMEDY}") from None


def main(arguments: list[str]) -> int:
    """Create an operator. Returns the exit code: 0 done, 2 wrong usage."""
    if len(arguments) != 2 or arguments[0] != "new" or not re.fullmatch(NAME, arguments[1]):  # noqa: PLR2004
        print("usage: python -m sutra_control.users new NAME   (letters, digits, . _ -)", file=sys.stderr)
        return 2
    password = secrets.token_urlsafe(18)
    print(f"password of {arguments[1]} (shown only once): {password}")
    print(f"entry for {VARIABLE}: {arguments[1]}:{PasswordHash.of(password).entry()}")
    print("In a shell or .env file, put the entry in single quotes, because it contains dollar signs.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
