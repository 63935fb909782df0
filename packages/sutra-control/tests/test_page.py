import gzip
from pathlib import Path

import pytest
from conftest import Stack
from sutra_service.settings import SettingError

from sutra_control.page import accepts_gzip, has_tag, read_page

SCRIPT = "/assets/index-abc123.js"


@pytest.mark.parametrize(
    ("path", "kind", "cache"),
    [
        ("/", "text/html; charset=utf-8", "no-cache"),
        ("/index.html", "text/html; charset=utf-8", "no-cache"),
        ("/favicon.svg", "image/svg+xml", "no-cache"),
        (SCRIPT, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"),
    ],
)
def test_the_headers_of_a_file(stack: Stack, path: str, kind: str, cache: str) -> None:
    answer = stack.client().get(path)
    assert answer.status_code == 200
    assert (answer.headers["Content-Type"], answer.headers["Cache-Control"]) == (kind, cache)
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_accept_encoding_selects_the_form(stack: Stack, page: Path) -> None:
    client = stack.client()
    plain = client.get(SCRIPT, headers={"Accept-Encoding": "identity"})
    packed = client.get(SCRIPT, headers={"Accept-Encoding": "br, gzip"})
    assert plain.content == packed.content == (page / SCRIPT[1:]).read_bytes()
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) == len((page / f"{SCRIPT[1:]}.gz").read_bytes())
    assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"
    assert plain.headers["ETag"] != packed.headers["ETag"]


def test_a_file_without_gzip_form_does_not_vary(stack: Stack) -> None:
    answer = stack.client().get("/favicon.svg", headers={"Accept-Encoding": "gzip"})
    assert "Vary" not in answer.headers
    assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_an_unchanged_file_is_not_sent_again(stack: Stack, coding: str) -> None:
    client = stack.client()
    first = client.get("/", headers={"Accept-Encoding": coding})
    again = client.get("/", headers={"Accept-Encoding": coding, "If-None-Match": f'"x", W/{first.headers["ETag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    for name in ("ETag", "Vary", "Cache-Control", "Content-Security-Policy"):
        assert again.headers[name] == first.headers[name]
    other = {"identity": "gzip", "gzip": "identity"}[coding]
    assert (
        client.get("/", headers={"Accept-Encoding": other, "If-None-Match": first.headers["ETag"]}).status_code == 200
    )


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/assets/",
        "/assets",
        f"{SCRIPT}.gz",
        f"{SCRIPT}.map",
        "/../secret",
        "/assets/../../secret",
        "/assets/%2e%2e/%2e%2e/secret",
        "/assets/..%2f..%2fsecret",
        "//etc/passwd",
        "/%00",
    ],
)
def test_no_path_leads_out_of_the_folder(stack: Stack, page: Path, path: str) -> None:
    (page.parent / "secret").write_text("secret")
    client = stack.client()
    # Not client.get, which would normalize the path.
    answer = client.request("GET", client.base_url.copy_with(raw_path=path.encode()))
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_rejected(stack: Stack, method: str) -> None:
    answer = stack.client().request(method, "/")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_symbolic_links_are_not_served(page: Path) -> None:
    (page.parent / "secret").write_text("secret")
    (page / "link.txt").symlink_to(page.parent / "secret")
    assert "/link.txt" not in read_page(page)


def test_a_folder_without_an_index_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"SUTRA_CONTROL_PAGE.*index.html"):
        read_page(tmp_path)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("br, deflate", False),
        ("identity, gzip;q=x", False),
        ("xgzip", False),
        ("x-gzip", False),
    ],
)
def test_accept_encoding(header: str, expected: bool) -> None:
    assert accepts_gzip(header) is expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [("", False), ('"a"', True), ('W/"a"', True), ('"b", "a"', True), ('"b"', False), ("*", True), ("a", False)],
)
def test_if_none_match(header: str, expected: bool) -> None:
    assert has_tag(header, '"a"') is expected


def test_the_gzip_file_is_sent_as_it_is(stack: Stack, page: Path) -> None:
    (page / "index.html.gz").write_bytes(gzip.compress(b"another text"))
    assert stack.client().get("/", headers={"Accept-Encoding": "gzip"}).content == b"another text"
