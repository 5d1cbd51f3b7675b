#!/usr/bin/env python3
"""The shared libraries that binaries load, as the loader of this machine finds them: a path a line.

  scripts/linked_libraries.py BINARY...
"""

import pathlib
import re
import subprocess
import sys


class Missing(Exception):
    """A library that the loader does not find."""


def linked_libraries(binaries):
    """Sorted, each once, the loader itself among them."""
    found = set()
    for binary in binaries:
        listing = subprocess.run(["ldd", binary], check=True, capture_output=True, text=True).stdout
        if missing := re.findall(r"(\S+) => not found", listing):
            raise Missing(f"{binary} needs {', '.join(missing)}, which the loader does not find")
        found.update(re.findall(r"^\s*(?:\S+ => )?(/\S+) \(0x", listing, re.MULTILINE))
    return sorted(map(pathlib.Path, found))


if __name__ == "__main__":
    try:
        print(*linked_libraries(sys.argv[1:]), sep="\n")
    except (Missing, subprocess.CalledProcessError) as error:
        sys.exit(f"linked_libraries: {error}")
