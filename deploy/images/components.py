"""What an image is made of, and whose it is: Debian packages, wheels, Rust crates, npm packages.

A component has a name, a version, a licence (as an SPDX expression) and the texts that must travel
with it. One whose licence is not known is an error: an image says everything or is not made.
"""

import dataclasses
import functools
import importlib.metadata
import json
import os
import pathlib
import re
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
DOC = pathlib.Path("/usr/share/doc")


class Unknown(Exception):
    """A file of nobody's, or a component without a licence."""


@dataclasses.dataclass(frozen=True)
class Component:
    name: str
    version: str
    licence: str
    purl: str
    notices: tuple = ()  # files with its licence


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


# ---- Debian's packages ----

@functools.cache
def owners():
    """{path: package} of every installed file, by both names of what is /lib and /usr/lib."""
    found = {}
    for listing in pathlib.Path("/var/lib/dpkg/info").glob("*.list"):
        package = listing.stem
        for path in listing.read_text().splitlines():
            found[path] = package
            if path.startswith("/lib"):
                found["/usr" + path] = package
    return found


@functools.cache
def distribution():
    """("debian", "12")"""
    release = dict(line.rstrip().split("=", 1) for line in open("/etc/os-release") if "=" in line)
    return release["ID"].strip('"'), release["VERSION_ID"].strip('"')


@functools.cache
def package(name):
    show = "${Package}\n${Version}\n${source:Package}\n${Architecture}"
    binary, version, source, architecture = output_of("dpkg-query", "-W", f"-f={show}", name).split("\n")
    licences = json.loads((HERE / "licences.json").read_text())
    # gcc-12, boost1.81, libtasn1-6: the licence is of every version.
    licence = licences.get(source) or licences.get(re.sub(r"-?[\d.]+$", "", source))
    if not licence:
        raise Unknown(f"no licence known of Debian's {source} ({name}): "
                      f"read {DOC / binary / 'copyright'} and name it in deploy/images/licences.json")
    notice = DOC / binary / "copyright"
    if not notice.exists():
        raise Unknown(f"{name} has no {notice}: some images of Debian leave documentation out")
    distro, release = distribution()
    purl = f"pkg:deb/{distro}/{binary}@{version}?arch={architecture}&distro={distro}-{release}"
    return Component(binary, version, licence, purl, (notice,))


def package_of(path):
    """That installed `path`, or what it links to."""
    real = str(pathlib.Path(path).resolve())
    if real not in owners():
        raise Unknown(f"{path} belongs to no package")
    return package(owners()[real])


# ---- wheels ----

@functools.cache
def wheel_owners(site):
    found = {}
    for distribution in importlib.metadata.distributions(path=[str(site)]):
        for path in distribution.files or ():
            if ".so" in path.name:
                found[os.path.normpath(site / path)] = distribution
    return found


def site_of(path):
    """The site-packages folder that a library is in; None: it came with no wheel."""
    return next((folder for folder in path.parents if folder.name in ("site-packages", "dist-packages")),
                None)


def wheel_of(path):
    real = pathlib.Path(path).resolve()
    distribution = wheel_owners(site_of(real)).get(str(real))
    if distribution is None:
        raise Unknown(f"{path} belongs to no wheel")
    name, metadata = distribution.metadata["Name"], distribution.metadata
    licence = metadata["License-Expression"] or metadata["License"]
    notices = tuple(pathlib.Path(distribution.locate_file(file)) for file in distribution.files
                    if ".dist-info/" in str(file) and is_notice(file.name))
    if not licence or not notices:
        raise Unknown(f"the wheel {name} names no licence, or brings no text of it")
    return Component(name, distribution.version, licence, f"pkg:pypi/{name}@{distribution.version}", notices)


# ---- Rust crates, which are linked into the binary ----

def crates(cargo, manifest):
    """Those that end in the library of `manifest`, and Rust's own."""
    metadata = json.loads(output_of(
        cargo, "metadata", "--manifest-path", str(manifest), "--format-version=1", "--locked",
        "--offline", "--filter-platform=x86_64-unknown-linux-gnu"))
    by_id = {entry["id"]: entry for entry in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    linked, ahead = set(), [root]
    while ahead:
        current = ahead.pop()
        if current in linked or "proc-macro" in by_id[current]["targets"][0]["kind"]:
            continue
        linked.add(current)
        ahead += [edge["pkg"] for edge in nodes[current]["deps"]
                  if any(kind["kind"] is None for kind in edge["dep_kinds"])]
    # Its licences' texts are those of most crates.
    version = output_of(pathlib.Path(cargo).with_name("rustc"), "--version").split()[1]
    found = [Component("rust-std", version, "MIT OR Apache-2.0", f"pkg:generic/rust-std@{version}")]
    for entry in sorted((by_id[each] for each in linked - {root}),
                        key=lambda entry: (entry["name"], entry["version"])):
        if not entry["license"]:
            raise Unknown(f"the crate {entry['name']} names no licence")
        folder = pathlib.Path(entry["manifest_path"]).parent
        notices = tuple(sorted(path for path in folder.rglob("*") if path.is_file() and is_notice(path.name)))
        licence = re.sub(r" ?/ ?", " OR ", entry["license"])  # as crates wrote it before SPDX
        found.append(Component(entry["name"], entry["version"], licence,
                               f"pkg:cargo/{entry['name']}@{entry['version']}", notices))
    return found


# ---- npm packages, which are in the playground ----

def npm_packages(notices):
    """As the build has listed them above their licences: `katex 0.19.1, MIT` and a rule."""
    found = re.findall(r"^(\S+) (\S+), (\S+)\n=+$", notices.read_text(), re.MULTILINE)
    if not found:
        raise Unknown(f"{notices} lists no packages")
    return [Component(name, version, licence, f"pkg:npm/{name}@{version}")
            for name, version, licence in found]


def is_notice(name):
    return re.match(r"(?i)(un)?licen[cs]e|copying|copyright|notice", name) is not None
