#!/usr/bin/python3
"""The part of pip that an image needs at run time: `list`, `show`, `freeze` and `--version`.

They read the same metadata as pip and print it in the same format. The installer is left out,
because nothing can be installed into a read-only image.
"""

import json
import sys
from importlib import metadata

REMEDY = "packages are installed when the image is built; add them to the service's requirements.lock"
FIELDS = ("Name", "Version", "Summary", "Home-page", "Author", "License")


def _normalize(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _installed() -> dict[str, metadata.Distribution]:
    return {_normalize(dist.metadata["Name"]): dist for dist in metadata.distributions()}


def _list(options: list[str]) -> int:
    rows = [(dist.metadata["Name"], dist.version) for _, dist in sorted(_installed().items())]
    form = "columns"
    for option in options:
        if option.startswith("--format="):
            form = option.partition("=")[2]
        elif option not in ("--no-cache-dir", "--disable-pip-version-check"):
            return _refuse(f"unknown option of 'list': '{option}'")
    if form == "json":
        print(json.dumps([{"name": name, "version": version} for name, version in rows]))
    elif form == "freeze":
        print("\n".join(f"{name}=={version}" for name, version in rows))
    elif form == "columns":
        table = [("Package", "Version"), *rows]
        left, right = (max(len(row[column]) for row in table) for column in (0, 1))
        table.insert(1, ("-" * left, "-" * right))
        print("\n".join(f"{name:{left}} {version}" for name, version in table))
    else:
        return _refuse(f"unknown format: '{form}' (use columns, freeze or json)")
    return 0


def _show(names: list[str]) -> int:
    if not names:
        return _refuse("'show' needs a package name")
    installed = _installed()
    missing = [name for name in names if _normalize(name) not in installed]
    found = [installed[_normalize(name)] for name in names if _normalize(name) in installed]
    for index, dist in enumerate(found):
        if index:
            print("---")
        for field in FIELDS:
            value = dist.metadata.get(field) or ""
            if field == "License":
                value = dist.metadata.get("License-Expression") or value
            print(f"{field}: {value.splitlines()[0] if value else ''}")
        print(f"Location: {dist.locate_file('')}")
        print(f"Requires: {', '.join(_requires(dist))}")
    if missing:
        print(f"WARNING: Package(s) not found: {', '.join(missing)}", file=sys.stderr)
    return 0 if found else 1


def _requires(dist: metadata.Distribution) -> list[str]:
    plain = [line for line in dist.requires or [] if "extra ==" not in line]
    return sorted({line.partition(";")[0].rstrip(" ").split(" ")[0].split("[")[0] for line in plain})


def _refuse(problem: str) -> int:
    print(f"ERROR: pip: {problem}. This image has only 'list', 'show' and '--version': {REMEDY}.", file=sys.stderr)
    return 1


def main(arguments: list[str]) -> int:
    """Run one command. Returns the exit code: 0 done, 1 unsupported or nothing found."""
    command, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if command in ("--version", "-V"):
        print(f"pip (list and show only) from {__file__} (python {sys.version_info[0]}.{sys.version_info[1]})")
        return 0
    if command == "list":
        return _list(rest)
    if command == "freeze":
        return _list(["--format=freeze", *rest])
    if command == "show":
        return _show(rest)
    return _refuse(f"unsupported command: '{command}'" if command else "no command given")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
