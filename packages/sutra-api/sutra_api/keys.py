"""API keys: stored as SHA-256 digests, compared in constant time.

`python -m sutra_api.keys new NAME` creates one. A key is 256 random bits, so a fast hash is
enough: slow hashes are for passwords that can be guessed.
"""

import hashlib
import hmac
import re
import secrets
import sys
from pathlib import Path

from sutra_service.settings import Environment, SettingError

ENTRY = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63}):([0-9a-f]{64})")
REMEDY = "use an entry printed by `python -m sutra_api.keys new NAME`"
MAX_KEY_CHARACTERS = 512


class Keys:
    """The valid keys, as names and digests."""

    def __init__(self, digests: dict[str, bytes]) -> None:
        self._digests = digests

    def __bool__(self) -> bool:
        """Whether there is any key."""
        return bool(self._digests)

    @classmethod
    def read(cls, environment: Environment) -> "Keys":
        """Read SUTRA_API_KEYS and the file named by SUTRA_API_KEYS_FILE.

        Entries are separated by newlines or commas; `#` starts a comment. Raises SettingError for an
        unreadable file and for an entry that is not NAME:SHA256.
        """
        digests: dict[str, bytes] = {}
        file = environment.text("SUTRA_API_KEYS_FILE")
        if file:
            try:
                content = Path(file).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise SettingError(f"SUTRA_API_KEYS_FILE: cannot read {file}: {error}") from error
            _add(digests, content, f"SUTRA_API_KEYS_FILE ({file})")
        _add(digests, environment.text("SUTRA_API_KEYS"), "SUTRA_API_KEYS")
        return cls(digests)

    def owner(self, key: str) -> str | None:
        """The name of `key`. Always compares every digest, so that the time reveals nothing."""
        if len(key) > MAX_KEY_CHARACTERS:
            return None
        given = digest(key)
        found = None
        for name, known in self._digests.items():
            if hmac.compare_digest(given, known):
                found = name
        return found


def digest(key: str) -> bytes:
    """The SHA-256 of a key."""
    return hashlib.sha256(key.encode()).digest()


def _add(digests: dict[str, bytes], content: str, source: str) -> None:
    for number, line in enumerate(content.splitlines(), 1):
        for entry in line.partition("#")[0].split(","):
            if not entry.strip():
                continue
            match = ENTRY.fullmatch(entry.strip())
            # Never print the entry: it may be a plain key, put here by mistake.
            if match is None:
                raise SettingError(f"{source}, line {number}: entry is not NAME:SHA256; {REMEDY}")
            if match[1] in digests:
                raise SettingError(f"{source}, line {number}: duplicate name: {match[1]}; give each key its own name")
            digests[match[1]] = bytes.fromhex(match[2])


def main(arguments: list[str]) -> int:
    """Create a key. Returns the exit code: 0 done, 2 wrong usage."""
    if len(arguments) != 2 or arguments[0] != "new" or not ENTRY.fullmatch(f"{arguments[1]}:{'0' * 64}"):  # noqa: PLR2004
        print("usage: python -m sutra_api.keys new NAME   (letters, digits, . _ -)", file=sys.stderr)
        return 2
    key = f"sutra_{secrets.token_urlsafe(32)}"
    print(f"API key for {arguments[1]} (shown only once): {key}")
    print(f"entry for SUTRA_API_KEYS: {arguments[1]}:{digest(key).hex()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
