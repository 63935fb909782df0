"""Serves the page's files from memory, plain or compressed."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from sutra_service.settings import SettingError

VARIABLE = "SUTRA_CONTROL_PAGE"
INDEX = "index.html"
COMPRESSED = ".gz"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
# The bundler puts files with a content hash in their name here.
HASHED = "/assets/"
IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"


@dataclass(frozen=True)
class File:
    """A file of the page; `compressed` is its gzip form, if there is one."""

    kind: str
    cache: str
    tag: str
    plain: bytes
    compressed: bytes | None

    async def answer(self, request: Request) -> Response:
        """Send the file in a form that the browser accepts, or 304 if the browser already has it."""
        packed = self.compressed is not None and accepts_gzip(request.headers.get("accept-encoding", ""))
        # Different bytes need different tags.
        tag = f'"{self.tag}-gzip"' if packed else f'"{self.tag}"'
        headers = {"Cache-Control": self.cache, "ETag": tag}
        if self.compressed is not None:
            headers["Vary"] = "Accept-Encoding"
        if has_tag(request.headers.get("if-none-match", ""), tag):
            return Response(status_code=304, headers=headers)
        headers["Content-Type"] = self.kind
        if packed:
            headers["Content-Encoding"] = "gzip"
        return Response(self.compressed if packed else self.plain, headers=headers)


def read_page(folder: Path) -> dict[str, File]:
    """Read the files in `folder`, by URL path; `/` is the index.

    Requests never access the disk, so no path can lead out of the folder. Raises SettingError if the
    folder has no index page.
    """
    files = {}
    try:
        for path in sorted(folder.rglob("*")):
            if _is_regular_file(path) and path.suffix != COMPRESSED:
                served = f"/{path.relative_to(folder).as_posix()}"
                files[served] = _read(path, served)
    except OSError as error:
        raise SettingError(f"{VARIABLE}: cannot read the page: {error}") from error
    index = files.get(f"/{INDEX}")
    if index is None:
        raise SettingError(f"{VARIABLE}={str(folder)!r} has no {INDEX}; build the page and set its folder")
    return {"/": index, **files}


def routes(page: dict[str, File]) -> list[Route]:
    """One route per file, so that unknown paths give 404 and other methods 405, as usual."""
    return [Route(path, file.answer, methods=["GET"], include_in_schema=False) for path, file in page.items()]


def accepts_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header allows gzip, by name or `*`, with a quality above 0."""
    quality = {}
    for item in header.lower().split(","):
        coding, _, parameters = item.partition(";")
        name, _, value = parameters.strip().partition("=")
        quality[coding.strip()] = _number(value) if name.strip() == "q" else 1.0
    return quality.get("gzip", quality.get("*", 0.0)) > 0


def has_tag(header: str, tag: str) -> bool:
    """Whether an If-None-Match header contains `tag`; weak tags match too (RFC 9110, section 13.1.2)."""
    given = [item.strip().removeprefix("W/") for item in header.split(",")]
    return tag in given or "*" in given


def _read(path: Path, served: str) -> File:
    plain = path.read_bytes()
    compressed = path.with_name(path.name + COMPRESSED)
    return File(
        kind=TYPES.get(path.suffix, "application/octet-stream"),
        cache=IMMUTABLE if served.startswith(HASHED) else REVALIDATE,
        tag=hashlib.sha256(plain).hexdigest()[:32],
        plain=plain,
        compressed=compressed.read_bytes() if _is_regular_file(compressed) else None,
    )


def _is_regular_file(path: Path) -> bool:
    # Symbolic links are skipped, because they could lead out of the folder.
    return path.is_file() and not path.is_symlink()


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
