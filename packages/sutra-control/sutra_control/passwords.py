"""Passwords that operators have chosen themselves, kept in a data folder.

The environment, where operators are set up, cannot be changed from within. A stored password therefore names the entry
that it replaces, by its SHA-256. Once the environment has another entry for the operator (a reset), or none, the stored
password no longer counts.
"""

import hashlib
import hmac
import json
import os
from logging import getLogger
from pathlib import Path
from typing import Any

from sutra_service.settings import Environment, SettingError

from sutra_control.users import PasswordHash, Users, parse_entry

logger = getLogger(__name__)

VARIABLE = "SUTRA_CONTROL_DATA"
FILE = "passwords.json"
SCHEMA = 1
MAX_BYTES = 1024 * 1024
NO_FOLDER = (
    f"control cannot store passwords: {VARIABLE} is not set; set it to a folder on a volume, or put a new entry "
    "(created by `python -m sutra_control.users new NAME`) into SUTRA_CONTROL_USERS and restart control"
)
# NIST SP 800-63B-4, section 3.1.1.2: at least 15 for a password that is the only factor.
MIN_CHARACTERS = 15
MIN_DIFFERENT = 6
# Shorter names are in many good passwords.
MIN_NAME = 4


def weakness(name: str, current: str, new: str) -> str:
    """Why `new` is too weak for operator `name`, whose password is `current`; empty if it is not."""
    if len(new) < MIN_CHARACTERS:
        return f"it has {len(new)} characters; use at least {MIN_CHARACTERS}"
    if len(set(new)) < MIN_DIFFERENT:
        return f"it has only {len(set(new))} different characters; use at least {MIN_DIFFERENT}"
    if len(name) >= MIN_NAME and name.lower() in new.lower():
        return "it contains the operator's name; leave the name out"
    if new == current:
        return "it is the current password; choose another"
    return ""


class Passwords:
    """The stored passwords of `users`. Not thread-safe: use it from one thread."""

    def __init__(self, users: Users, folder: Path | None) -> None:
        self._users = users
        self._folder = folder
        # As in the environment, before any stored password replaces them.
        self._configured = {name: _fingerprint(entry) for name, entry in users.entries().items()}
        self._stored: dict[str, str] = {}

    @classmethod
    def read(cls, environment: Environment, users: Users) -> "Passwords":
        """Apply the stored passwords to `users`. Raises SettingError for an unreadable or invalid file.

        It does not start without them: passwords that operators have replaced would be valid again.
        """
        folder = environment.text(VARIABLE)
        passwords = cls(users, Path(folder) if folder else None)
        passwords._load()
        return passwords

    @property
    def reason(self) -> str:
        """Why passwords cannot be changed; empty if they can."""
        return NO_FOLDER if self._folder is None else ""

    def change(self, name: str, current: str, new: str) -> bool:
        """Replace the password of `name`, durably. Returns False if `current` is wrong. Slow on purpose.

        Raises OSError if it cannot be stored; the current password then stays valid.
        """
        if name not in self._configured or not self._users.verify(name, current):
            return False
        replacement = PasswordHash.of(new)
        stored = {**self._stored, name: replacement.entry()}
        self._write(stored)
        self._stored = stored
        self._users.replace(name, replacement)
        return True

    def _load(self) -> None:
        if self._folder is None:
            return
        if not self._folder.is_dir():
            raise SettingError(f"{VARIABLE}: not a folder: {self._folder}; mount a volume there or unset {VARIABLE}")
        path = self._folder / FILE
        try:
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return
        except OSError as error:
            raise SettingError(f"{VARIABLE}: cannot read {path}: {error.strerror}; make it readable") from error
        found = _parse(content, path)
        for name, (replaces, entry) in found.items():
            if hmac.compare_digest(replaces, self._configured.get(name, "")):
                self._stored[name] = entry
                self._users.replace(name, parse_entry(f"{name}:{entry}", str(path))[1])
            else:
                logger.info("a stored password is obsolete: SUTRA_CONTROL_USERS has changed", extra={"operator": name})
        if len(self._stored) < len(found):
            self._forget_obsolete()

    def _forget_obsolete(self) -> None:
        # Otherwise a stored password would be valid again if its old entry came back to the environment.
        try:
            self._write(self._stored)
        except OSError as error:
            logger.warning("cannot remove obsolete passwords from %s: %s", VARIABLE, error)

    def _write(self, stored: dict[str, str]) -> None:
        if self._folder is None:
            raise OSError(NO_FOLDER)
        content = {
            "schema": SCHEMA,
            "passwords": {
                name: {"replaces": self._configured[name], "entry": entry} for name, entry in sorted(stored.items())
            },
        }
        path, draft = self._folder / FILE, self._folder / f".{FILE}.new"
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(json.dumps(content, indent=1).encode())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        try:
            _sync_folder(self._folder)
        except OSError:
            # The file has the new password already, so it must count.
            logger.exception("cannot sync %s; after a power failure, the earlier password may be valid", self._folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fingerprint(entry: str) -> str:
    return hashlib.sha256(entry.encode()).hexdigest()


def _parse(content: bytes, path: Path) -> dict[str, tuple[str, str]]:
    """The entries of the file by name: which entry each replaces, and its own."""
    try:
        if len(content) > MAX_BYTES:
            raise ValueError(f"larger than {MAX_BYTES} bytes")
        whole: Any = json.loads(content)
        if whole["schema"] != SCHEMA:
            raise ValueError(f"schema {whole['schema']!r}, not {SCHEMA}")
        found = {name: (entry["replaces"], entry["entry"]) for name, entry in whole["passwords"].items()}
        for name, (replaces, entry) in found.items():
            parse_entry(f"{name}:{entry}", str(path))
            bytes.fromhex(replaces)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        # Never the content: it holds hashes.
        what = str(error) if isinstance(error, ValueError) else "not the expected fields"
        message = f"{VARIABLE}: invalid file: {path}: {what}; restore it, or delete it to return to SUTRA_CONTROL_USERS"
        raise SettingError(message) from None
    return found
