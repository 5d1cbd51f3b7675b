#!/usr/bin/env python3
"""The shared libraries that binaries load, as the loader of this machine finds them: a path a line.

  scripts/linked_libraries.py BINARY...
"""

import pathlib
import re
import subprocess
import sys


class Missing(Exception):
    """A binary, or a library of one, that the loader does not find or take."""


def linked_libraries(binaries):
    """Sorted, each once, the loader itself among them."""
    found = set()
    for binary in binaries:
        listing = subprocess.run(["ldd", binary], capture_output=True, text=True, check=False)
        if listing.returncode != 0:
            raise Missing(f"{binary}: {listing.stderr.strip() or 'not a dynamic executable'}")
        if missing := re.findall(r"(\S+) => not found", listing.stdout):
            raise Missing(f"{binary} needs {', '.join(missing)}, which the loader does not find")
        found.update(re.findall(r"^\s*(?:\S+ => )?(/\S+) \(0x", listing.stdout, re.MULTILINE))
    return sorted(map(pathlib.Path, found))


if __name__ == "__main__":
    try:
        print(*linked_libraries(sys.argv[1:]), sep="\n")
    except Missing as error:
        sys.exit(f"linked_libraries: {error}")
