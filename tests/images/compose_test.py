"""deploy/compose*.yaml and the chart fit the images, the binaries and what they mount."""

import json
import pathlib
import re
import subprocess

import compose
import jsonschema
import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILES = ["compose.yaml", "compose.cuda.yaml", "compose.pull.yaml"]
SCHEMA = ROOT / ".deps" / "images" / "compose-spec.json"
HUB = {"HUB_MODEL": "acme/tiny"}
BINARIES = {"weft-gateway": "weft-gateway", "weft-scheduler": "weft-scheduler", "weft-tools": "weft",
            "weft-worker-cpu": "weft-worker", "weft-worker-cuda": "weft-worker"}


def targets():
    """Of the Dockerfile, with the binary that each starts."""
    text = (ROOT / "deploy" / "images" / "Dockerfile").read_text()
    return dict(re.findall(r"^FROM weft AS (\S+)$.*?^ENTRYPOINT \[\"/usr/bin/(\S+)\"\]$", text,
                           re.MULTILINE | re.DOTALL))


def chart_containers():
    """Of the chart's renderings that are kept."""
    for path in sorted((ROOT / "tests" / "helm" / "golden").glob("*.yaml")):
        for document in filter(None, yaml.safe_load_all(path.read_text())):
            spec = document.get("spec") or {}
            pod = spec if document["kind"] == "Pod" else spec.get("template", {}).get("spec", {})
            for container in pod.get("initContainers", []) + pod.get("containers", []):
                yield f"{path.name}: {container['name']}", container


def image_name(reference):
    return reference.rpartition("/")[2].split(":")[0]


@pytest.mark.parametrize("name", FILES)
def test_the_specification_takes_it(name):
    if not SCHEMA.exists():
        pytest.skip("there is no schema of Compose: scripts/setup.sh images brings it")
    jsonschema.Draft7Validator(json.loads(SCHEMA.read_text())).validate(compose.load(name))


@pytest.mark.parametrize("name", FILES)
def test_what_it_mounts_is_there(name):
    volumes = compose.load(name).get("volumes", {})
    for service, settings in compose.services(name, HUB).items():
        for mount in settings.get("volumes", []):
            source = mount.split(":")[0]
            exists = (compose.DEPLOY / source).is_dir() if "/" in source else source in volumes
            assert exists, f"{service}: {mount}"


def test_the_images_are_those_of_the_dockerfile():
    assert targets() == BINARIES
    named = {image_name(container["image"]) for _, container in chart_containers()}
    assert named == set(BINARIES)
    for name in FILES:
        named = {settings["image"] for settings in compose.services(name, HUB).values()
                 if "image" in settings}
        for reference in named:
            image, _, tag = reference.partition(":")
            assert image in BINARIES or re.fullmatch(r"v?\d+\.\d+\.\d+", tag), reference


def test_versions_agree():
    version = re.search(r"project\(weft VERSION (\S+) ", (ROOT / "CMakeLists.txt").read_text())[1]
    assert f"ARG VERSION={version}\n" in (ROOT / "deploy" / "images" / "Dockerfile").read_text()
    for name in FILES:
        for settings in compose.services(name, HUB).values():
            image, _, tag = settings.get("image", "").partition(":")
            assert image not in BINARIES or tag == version, (name, image)


def known_flags(bin_dir, image, words):
    """What --help lists, of the subcommand if the words begin with one."""
    subcommand = [words[0]] if words and not words[0].startswith("-") else []
    text = subprocess.run([bin_dir / BINARIES[image], *subcommand, "--help"], check=True,
                          capture_output=True, text=True).stdout
    return set(re.findall(r"^\s+(?:-\w,)?--([\w-]+)", text, re.MULTILINE))


def test_every_flag_is_one_that_the_binary_knows(bin_dir):
    commands = [(where, container["image"], container.get("args", []))
                for where, container in chart_containers()]
    for name in FILES:
        commands += [(f"{name}: {service}", settings["image"], settings["command"])
                     for service, settings in compose.services(name, HUB).items()
                     if "image" in settings and "command" in settings]
    checks = compose.services("compose.yaml")
    commands += [(f"{service}'s health", checks[service]["image"], checks[service]["healthcheck"]["test"][2:])
                 for service in ("gateway", "scheduler", "worker")]
    num_flags = 0
    for where, reference, words in commands:
        known = known_flags(bin_dir, image_name(reference), words)
        for word in words:
            if word.startswith("--"):
                assert word[2:].split("=")[0] in known, f"{where}: {word}"
                num_flags += 1
    assert num_flags > 100


def test_all_of_it_is_held_to_the_same_confinement():
    services = compose.services("compose.yaml") | {
        "pull": compose.services("compose.pull.yaml", HUB)["pull"]}
    for name, settings in services.items():
        assert settings["read_only"] is True, name
        assert settings["cap_drop"] == ["ALL"], name
        assert settings["security_opt"] == ["no-new-privileges:true"], name
        assert "user" not in settings and "privileged" not in settings, name
        # Open to this machine alone.
        assert all(port.startswith("127.0.0.1:") for port in settings.get("ports", [])), name


def test_prometheus_finds_the_tiers_by_their_names():
    services = compose.services("compose.yaml")
    configuration = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    scraped = {name for job in configuration["scrape_configs"]
               for discovery in job["dns_sd_configs"] for name in discovery["names"]}
    assert scraped == {"gateway", "scheduler", "worker"}
    for name in scraped:
        assert "--admin-host=0.0.0.0" in services[name]["command"]
        assert set(services[name]["networks"]) & set(services["prometheus"]["networks"])
