"""The sizes of images, as whoever deployed wrote them down. This service asks no engine."""

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
    """One image: the service it is for, its name, and how many bytes it has unpacked."""

    model_config = ConfigDict(strict=True)

    service: Word
    image: Word
    bytes: Annotated[int, Field(ge=0)]
    edition: Word
    variant: Word


class Record(BaseModel):
    """The file's content. Further fields are left alone: a newer `deploy` may write them."""

    model_config = ConfigDict(strict=True)

    schema_: Annotated[Literal[1], Field(alias="schema")]
    images: Annotated[list[Image], Field(max_length=MAX_IMAGES)]


@dataclass(frozen=True)
class Images:
    """What the record says. `state` is ok, absent or malformed, and `reason` says why it is not ok."""

    state: str
    reason: str = ""
    images: list[dict[str, Any]] = field(default_factory=list)

    def fields(self) -> dict[str, Any]:
        """As the status shows it."""
        return asdict(self)


class ImagesRecord:
    """The record at `path`, read again when the file changes. An empty path means that nobody handed one over."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._known = Images("absent", f"no image sizes were handed over: {VARIABLE} names no file")

    def read(self) -> Images:
        """What the record says now; never raises for what is on the disk."""
        if not self._path:
            return self._known
        try:
            status = Path(self._path).stat()
            # An update by rename keeps neither; one in place changes time or size.
            stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
            if stamp != self._stamp:
                self._known = _read(Path(self._path), self._path)
                self._stamp = stamp
        except FileNotFoundError:
            self._stamp = None
            self._known = Images("absent", f"no image sizes were handed over: there is no file {self._path}")
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
    return Images("malformed", f"{name} is no record of images: {what}; let `deploy` write it again")
