#!/usr/bin/env python3
"""Remove the packages that the base already has, or leaves out: `subtract.py BASE LIBRARY`.

Fails if a package has different versions in the two: the service would not run with the version in its lock.
"""

import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

SITE = "usr/local/lib/python3.13/dist-packages"
# Needed only by uvicorn's command line, which the base leaves out.
LEFT_OUT = {"click"}


def main(base: Path, library: Path) -> int:
    """Remove the distributions in `base`, and LEFT_OUT, from `library`; return 1 if any version differs."""
    held = {name_of(found): found.version for found in distributions(path=[str(base / SITE)])}
    both = [found for found in distributions(path=[str(library)]) if name_of(found) in held]
    differing = [
        f"{name_of(found)}: the lock has {found.version}, the base {held[name_of(found)]}"
        for found in both
        if found.version != held[name_of(found)]
    ]
    if differing:
        print("package versions differ from the base; lock again with `-c` and the base's lock:", file=sys.stderr)
        print(*differing, sep="\n", file=sys.stderr)
        return 1
    left_out = [found for found in distributions(path=[str(library)]) if name_of(found) in LEFT_OUT]
    for found in [*both, *left_out]:
        remove(found, library)
    return 0


def name_of(distribution: Distribution) -> str:
    """The normalized name."""
    return distribution.metadata["Name"].lower().replace("_", "-").replace(".", "-")


def remove(distribution: Distribution, library: Path) -> None:
    """Remove the files in a distribution's RECORD, and any folder left empty."""
    for file in distribution.files or []:
        path = Path(str(distribution.locate_file(file)))
        path.unlink(missing_ok=True)
        folder = path.parent
        while folder not in (library, *library.parents) and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
