#!/usr/bin/env python3
"""Lays out what the images hold, for the Dockerfile beside this file to copy.

  deploy/images/stage.py --build build/cpu --to dist/images/cpu [IMAGE...]

TO/IMAGE has a folder for each layer, the one that changes least first:

  system   Debian's libraries, authorities' certificates, names of users
  cuda     NVIDIA's libraries, from wheels       } workers
  torch    LibTorch, from its wheel              }
  weft     the binary, notices of what is compiled into it, and the SBOM of the whole image

and weft-tools an empty folder models besides.

Every file's time is the same, so that a layer whose files are the same is the same layer. The SBOM
is CycloneDX, at /usr/share/doc/weft/sbom.cdx.json; every file of the image is an occurrence of one
of its components.
"""

import argparse
import collections
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import uuid

import components
from components import Component, Unknown, output_of

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from linked_libraries import Missing, linked_libraries  # noqa: E402

BINARIES = {"weft-gateway": "weft-gateway", "weft-scheduler": "weft-scheduler", "weft-tools": "weft",
            "weft-worker-cpu": "weft-worker", "weft-worker-cuda": "weft-worker"}
# What a build of that preset is good for.
IMAGES = {"cpu": ["weft-gateway", "weft-scheduler", "weft-tools", "weft-worker-cpu"],
          "cuda": ["weft-gateway", "weft-scheduler", "weft-tools", "weft-worker-cuda"]}
# The user that the chart's pods run as; the same number as distroless images have.
USER = "weft:x:65532:65532:weft:/:/sbin/nologin\n"
# Debian's libraries that are headers alone.
HEADERS = ["libcli11-dev"]
# NVIDIA's container toolkit looks at debian_version for where to put the driver's libraries, scanners
# at os-release for whose packages these are.
SYSTEM_FILES = ["/etc/debian_version", "/etc/os-release"]
EPOCH = 1  # 1970; 0 is "not known" to some tools


class Image:
    """A tree in layers, and who owns each of its files."""

    def __init__(self, folder):
        self.folder = folder
        self.files = collections.defaultdict(set)  # by component: absolute paths in the image
        self.layers = set()
        shutil.rmtree(folder, ignore_errors=True)

    def place(self, layer, path, component):
        """Where to write what will be at `path`."""
        self.files[component].add(path)
        self.layers.add(layer)
        target = self.folder / layer / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def copy(self, layer, source, path, component):
        target = self.place(layer, path, component)
        if not target.exists():
            shutil.copyfile(source, target)
            target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)

    def write(self, layer, path, text, component):
        target = self.place(layer, path, component)
        target.write_text(text)
        target.chmod(0o644)

    def add_notices(self, layer, component):
        for notice in component.notices:
            self.copy(layer, notice, f"/usr/share/doc/{component.name}/{notice.name}", component)

    def finish(self):
        for layer in self.layers:
            # Mount points: nothing can be made on a read-only root.
            if layer == "system":
                for name in ("dev", "proc", "sys", "tmp"):
                    (self.folder / layer / name).mkdir(exist_ok=True)
                (self.folder / layer / "tmp").chmod(0o1777)
            for path in [self.folder / layer, *(self.folder / layer).rglob("*")]:
                os.utime(path, (EPOCH, EPOCH))


def owner_of(library):
    """(layer, folder in the image, component)"""
    if components.site_of(library.resolve()) is None:
        component = components.package_of(library)
        loader = library.name.startswith("ld-linux")
        return "system", "/lib64" if loader else "/usr/lib/x86_64-linux-gnu", component
    component = components.wheel_of(library)
    # Beside the binary's ../lib, where it looks first.
    return "cuda" if component.name.startswith("nvidia-") else "torch", "/usr/lib", component


def add_system(image, weft):
    base_files = components.package("base-files")
    for path in SYSTEM_FILES:
        image.copy("system", path, path, base_files)
    image.add_notices("system", base_files)
    # Not this machine's own bundle, which may hold authorities of its owner's.
    authorities = components.package("ca-certificates")
    certificates = sorted(pathlib.Path("/usr/share/ca-certificates/mozilla").glob("*.crt"))
    image.write("system", "/etc/ssl/certs/ca-certificates.crt",
                "".join(path.read_text().rstrip() + "\n" for path in certificates), authorities)
    image.add_notices("system", authorities)
    # Notices of packages name these instead of repeating them.
    for path in pathlib.Path("/usr/share/common-licenses").iterdir():
        image.copy("system", path, str(path), base_files)
    image.write("system", "/etc/passwd", USER, weft)
    image.write("system", "/etc/group", "weft:x:65532:\n", weft)
    image.write("system", "/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n", weft)


def add_crates(image, build, weft):
    cache = (build / "CMakeCache.txt").read_text()
    cargo = re.search(r"^WEFT_CARGO:FILEPATH=(.*)$", cache, re.MULTILINE)[1]
    texts = collections.defaultdict(list)  # many crates have the same
    for crate in components.crates(cargo, ROOT / "text" / "ffi" / "Cargo.toml"):
        image.files[crate]  # owns no file: it is within the binary
        for notice in crate.notices:
            texts[notice.read_text(errors="replace").strip()].append(f"{crate.name} {crate.version}")
    parts = [", ".join(dict.fromkeys(names)) + ":\n\n" + text for text, names in texts.items()]
    image.write("weft", "/usr/share/doc/weft/crates.txt", ("\n\n" + 80 * "-" + "\n\n").join(parts) + "\n", weft)


def add_binary(image, name, build, installed, weft):
    image.copy("weft", installed / name, f"/usr/bin/{name}", weft)
    image.copy("weft", ROOT / "LICENSE", "/usr/share/doc/weft/LICENSE", weft)
    for header in HEADERS:
        image.add_notices("weft", components.package(header))
    inputs = output_of("ninja", "-C", str(build), "-t", "inputs", f"bin/{name}")
    if "libweft_text.a" in inputs:
        add_crates(image, build, weft)
    if "libweft_playground.a" in inputs:
        notices = build / "gateway" / "playground" / "licenses.txt"
        image.copy("weft", notices, "/usr/share/doc/weft/playground.txt", weft)
        for component in components.npm_packages(notices):
            image.files[component]


def sbom(name, version, image):
    bill = {
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": {"component": {
            "type": "container", "bom-ref": name, "name": name, "version": version,
            "licenses": [{"expression": "Apache-2.0"}]}},
        "components": [{
            "type": "library", "bom-ref": component.purl, "name": component.name,
            "version": component.version, "licenses": [{"expression": component.licence}],
            "purl": component.purl,
            **({"evidence": {"occurrences": [{"location": path} for path in sorted(paths)]}} if paths else {}),
        } for component, paths in sorted(image.files.items(), key=lambda item: item[0].purl)],
    }
    # The same image has the same number.
    digest = hashlib.sha256(json.dumps(bill).encode()).hexdigest()
    return {"serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest)}", **bill}


def stage(name, build, installed, folder):
    version = output_of(build / "bin" / BINARIES[name], "--version").split()[-1]
    weft = Component("weft", version, "Apache-2.0", f"pkg:generic/weft@{version}")
    image = Image(folder)
    add_system(image, weft)
    for library in linked_libraries([build / "bin" / BINARIES[name]]):
        layer, place, component = owner_of(library)
        image.copy(layer, library, f"{place}/{library.name}", component)
        image.add_notices(layer, component)
    add_binary(image, BINARIES[name], build, installed, weft)
    path = "/usr/share/doc/weft/sbom.cdx.json"
    image.files[weft].add(path)
    image.write("weft", path, json.dumps(sbom(name, version, image), indent=1) + "\n", weft)
    if name == "weft-tools":
        (folder / "models").mkdir()
        image.layers.add("models")
    image.finish()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True, type=pathlib.Path, help="build/cpu or build/cuda")
    parser.add_argument("--to", required=True, type=pathlib.Path, help="a folder, made if need be")
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="by default all that the build is good for")
    options = parser.parse_args()
    build = options.build.resolve()
    if build.name not in IMAGES:
        sys.exit(f"stage: images are made of build/cpu or build/cuda, not of {options.build}")
    known = IMAGES[build.name]
    if unknown := [name for name in options.images if name not in known]:
        sys.exit(f"stage: no image {unknown[0]} of {options.build}; there are {', '.join(known)}")
    with tempfile.TemporaryDirectory() as prefix:
        subprocess.run(["cmake", "--install", build, "--prefix", prefix, "--strip"], check=True,
                       stdout=subprocess.DEVNULL)
        for name in options.images or known:
            stage(name, build, pathlib.Path(prefix) / "bin", options.to / name)


if __name__ == "__main__":
    try:
        main()
    except (Missing, Unknown) as error:
        sys.exit(f"stage: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"stage: {error}\n{error.stderr or ''}")
