"""Reads the image sizes that `deploy` recorded; this service has no access to Docker."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sutra_service.errors import describe

VARIABLE = "SUTRA_IMAGES_RECORD"
MAX_BYTES = 1024 * 1024
MAX_IMAGES = 500

Word = Annotated[str, Field(min_length=1, max_length=300)]


class Image(BaseModel):
    """An image of a service, with its unpacked size."""

    model_config = ConfigDict(strict=True)

    service: Word
    image: Word
    bytes: Annotated[int, Field(ge=0)]
    edition: Word
    variant: Word


class Record(BaseModel):
    """The contents of the file. Unknown fields are ignored, because a newer `deploy` may write them."""

    model_config = ConfigDict(strict=True)

    schema_: Annotated[Literal[1], Field(alias="schema")]
    images: Annotated[list[Image], Field(max_length=MAX_IMAGES)]


@dataclass(frozen=True)
class Images:
    """The recorded images. `state` is ok, absent or malformed; `reason` says why it is not ok."""

    state: str
    reason: str = ""
    images: list[dict[str, Any]] = field(default_factory=list)

    def fields(self) -> dict[str, Any]:
        """The JSON for the status."""
        return asdict(self)


class ImagesRecord:
    """The record at `path`, read again when the file changes. An empty path means that there is none."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._known = Images("absent", f"no image sizes: {VARIABLE} is not set")

    def read(self) -> Images:
        """Read the record. Never raises if the file is missing or invalid."""
        if not self._path:
            return self._known
        try:
            status = Path(self._path).stat()
            # A rename changes the inode, an update in place the time or size.
            stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
            if stamp != self._stamp:
                self._known = _read(Path(self._path), self._path)
                self._stamp = stamp
        except FileNotFoundError:
            self._stamp = None
            self._known = Images("absent", f"no image sizes: file not found: {self._path}")
        except OSError as error:
            self._stamp = None
            self._known = Images("malformed", f"{VARIABLE}: cannot read {self._path}: {error.strerror}")
        return self._known


def _read(path: Path, name: str) -> Images:
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        return _malformed(name, f"it is larger than {MAX_BYTES} bytes")
    try:
        record = Record.model_validate_json(content)
    except ValidationError as error:
        return _malformed(name, describe(error.errors(include_url=False)))
    return Images("ok", images=[image.model_dump() for image in record.images])


def _malformed(name: str, what: str) -> Images:
    return Images("malformed", f"invalid image record: {name}: {what}; run `deploy` to write it again")
