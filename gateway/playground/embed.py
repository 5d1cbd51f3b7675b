#!/usr/bin/env python3
"""Packs the playground's files for the gateway binary.

  embed.py --out DIR --node-modules DIR --packages NAME... --assets PATH=FILE...

Writes DIR/assets.bin, every file as it is and, where that is smaller, gzipped;
DIR/assets.cc, the table of assets.h over it; and DIR/licenses.txt, the notices of
the npm packages, which becomes an asset as well. The same input gives the same bytes.
"""

import argparse
import gzip
import hashlib
import json
import pathlib
import sys

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
# Below this share of its size a file is worth a second copy.
WORTHWHILE = 0.9


def notices(node_modules, packages):
    """The licence text of each package, under its name and version."""
    parts = ["The playground contains these packages.\n"]
    for package in packages:
        folder = node_modules / package
        facts = json.loads((folder / "package.json").read_text())
        [licence] = sorted(folder.glob("LICENSE*"))
        heading = f"{facts['name']} {facts['version']}, {facts['license']}"
        parts.append(f"{heading}\n{'=' * len(heading)}\n\n{licence.read_text().strip()}\n")
    return "\n".join(parts)


def cpp_entry(path, content, blob):
    """Appends to `blob`; returns the row of the table."""
    def place(data):
        at = len(blob)
        blob.extend(data)
        return f"{{kBytes + {at}, {len(data)}}}"

    etag = hashlib.sha256(content).hexdigest()[:20]
    zipped = gzip.compress(content, 9, mtime=0)
    identity = place(content)
    gzipped = place(zipped) if len(zipped) < WORTHWHILE * len(content) else "{}"
    kind = CONTENT_TYPES[pathlib.PurePath(path).suffix]
    return f'    {{"{path}", "{kind}", "{etag}", {identity}, {gzipped}}},\n'


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--node-modules", required=True, type=pathlib.Path)
    parser.add_argument("--packages", required=True, nargs="+")
    parser.add_argument("--assets", required=True, nargs="+", metavar="PATH=FILE")
    options = parser.parse_args()

    licences = options.out / "licenses.txt"
    licences.write_text(notices(options.node_modules, options.packages))
    assets = dict(asset.split("=", 1) for asset in options.assets)
    assets["licenses.txt"] = licences

    blob = bytearray()
    rows = [cpp_entry(path, pathlib.Path(file).read_bytes(), blob)
            for path, file in sorted(assets.items())]
    (options.out / "assets.bin").write_bytes(blob)
    (options.out / "assets.cc").write_text(f"""// Made by embed.py.
#include "gateway/playground/assets.h"

asm(R"(
  .section .rodata
  .hidden weft_playground_bytes
  .global weft_playground_bytes
weft_playground_bytes:
  .incbin "{options.out / 'assets.bin'}"
  .previous
)");
extern "C" const char weft_playground_bytes[];

namespace weft::playground {{
namespace {{
constexpr const char* kBytes = weft_playground_bytes;
const Asset kTable[] = {{
{''.join(rows)}}};
}}  // namespace

std::span<const Asset> Assets() {{ return kTable; }}

}}  // namespace weft::playground
""")


if __name__ == "__main__":
    sys.exit(main())
