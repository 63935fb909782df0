#!/usr/bin/env python3
"""Remove from a folder of packages what a base holds already: `subtract.py BASE LIBRARY`.

A package that both hold has to have one version: a service would otherwise run on another than its
lock says. Fails with every package that differs.
"""

import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

SITE = "usr/local/lib/python3.13/dist-packages"


def main(base: Path, library: Path) -> int:
    """Subtract the distributions of `base` from `library`; 1 when a version differs."""
    held = {name_of(found): found.version for found in distributions(path=[str(base / SITE)])}
    both = [found for found in distributions(path=[str(library)]) if name_of(found) in held]
    differing = [
        f"{name_of(found)}: the lock has {found.version}, the base {held[name_of(found)]}"
        for found in both
        if found.version != held[name_of(found)]
    ]
    if differing:
        print("packages whose version is not the base's; lock again with -c and the base's lock:", file=sys.stderr)
        print(*differing, sep="\n", file=sys.stderr)
        return 1
    for found in both:
        remove(found, library)
    return 0


def name_of(distribution: Distribution) -> str:
    """The name as the Python packaging specification compares it."""
    return distribution.metadata["Name"].lower().replace("_", "-").replace(".", "-")


def remove(distribution: Distribution, library: Path) -> None:
    """Remove a distribution's files (those its RECORD lists) and the folders that this leaves empty."""
    for file in distribution.files or []:
        path = Path(str(distribution.locate_file(file)))
        path.unlink(missing_ok=True)
        folder = path.parent
        while folder not in (library, *library.parents) and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
