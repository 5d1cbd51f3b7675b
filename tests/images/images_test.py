"""The images: what is in them, whose it is, and that they serve, confined as in a cluster."""

import json
import os
import pathlib
import re
import shutil
import stat

import certificates
import compose
import pytest
import stack
from containers import ROOT, Network, Store
from hub import Hub

cyclonedx = pytest.importorskip("cyclonedx.validation.json", reason="scripts/setup.sh images brings it")
licensing = pytest.importorskip("license_expression").get_spdx_licensing()
SchemaVersion = pytest.importorskip("cyclonedx.schema").SchemaVersion

# Building the images copies a gigabyte, in the first test's setup.
pytestmark = pytest.mark.timeout(600)

MB = 1_000_000
# Of all files, uncompressed.
LIMITS = {"weft-gateway": 60 * MB, "weft-scheduler": 60 * MB, "weft-tools": 60 * MB,
          "weft-worker-cpu": 600 * MB, "weft-worker-cuda": 2000 * MB}
SBOM = "usr/share/doc/weft/sbom.cdx.json"


@pytest.fixture(scope="module")
def store(bin_dir):
    preset = bin_dir.resolve().parent.name
    if preset not in ("cpu", "cuda"):
        pytest.skip("images are made of cpu and cuda builds")
    if os.getuid() != 0:
        pytest.skip("containers without an engine take root")
    if not shutil.which("buildah"):
        pytest.skip("there is no buildah: scripts/setup.sh images brings it")
    mounts = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    if not any(line.split()[4] == "/" for line in mounts):
        pytest.skip("buildah does not work inside a chroot: it mounts / anew")
    with Store(preset) as built:
        yield built


@pytest.fixture(scope="module")
def roots(store):
    """{image: its files}"""
    return {name: store.container(name).root for name in names(store)}


def names(store):
    return ["weft-gateway", "weft-scheduler", "weft-tools", f"weft-worker-{store.preset}"]


def files(root):
    """What is no folder, with how it is."""
    for path in sorted(root.rglob("*")):
        if not path.is_dir():
            yield path.relative_to(root), path.lstat()


def test_they_are_small(store, roots):
    for name, root in roots.items():
        size = sum(status.st_size for _, status in files(root))
        assert size <= LIMITS[name], f"{name}: {size / MB:.0f} MB"
        assert name in store.output


def test_they_run_as_the_user_that_the_chart_names(store, roots):
    pod = (ROOT / "helm/weft/templates/_pod.tpl").read_text()
    user = re.search(r"runAsUser: (\d+)", pod)[1] + ":" + re.search(r"runAsGroup: (\d+)", pod)[1]
    for name, root in roots.items():
        config = store.image(name).config
        assert config["User"] == user, name
        entrypoint, = config["Entrypoint"]
        assert os.access(root / entrypoint.lstrip("/"), os.X_OK), name
        assert "Cmd" not in config, name
        assert f"weft:x:{user}:" in (root / "etc/passwd").read_text()


def test_nothing_in_them_is_anybodys_to_change(roots):
    for name, root in roots.items():
        for path in root.rglob("*"):
            status, inner = path.lstat(), path.relative_to(root)
            if str(inner) in ("tmp", "models"):
                continue
            assert (status.st_uid, status.st_gid) == (0, 0), f"{name}: {inner}"
            assert not status.st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IWOTH), f"{name}: {inner}"


def test_the_binary_is_all_that_can_be_started(store, roots):
    for name, root in roots.items():
        programs = {f"/{path}" for path, status in files(root)
                    if status.st_mode & 0o111 and not re.search(r"\.so(\.|$)", path.name)}
        assert programs == set(store.image(name).config["Entrypoint"]), name
        # No interpreter either, nor anything that would install one.
        for path, _ in files(root):
            assert not re.fullmatch(r"(ba|da|z|k)?sh|busybox|apt|dpkg|python.*|perl", path.name), path


def test_every_file_is_of_a_component_with_a_version_and_a_licence(roots):
    for name, root in roots.items():
        text = (root / SBOM).read_text()
        error = cyclonedx.JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
        assert error is None, f"{name}: {error}"
        bill = json.loads(text)
        owned = {}
        for component in bill["components"]:
            assert component["version"], component
            licence, = component["licenses"]
            expression = licence["expression"].replace("LicenseRef-NVIDIA-Proprietary", "0BSD")
            assert licensing.validate(expression).errors == [], component
            for occurrence in component.get("evidence", {}).get("occurrences", []):
                assert occurrence["location"] not in owned, f"{name}: two own {occurrence}"
                owned[occurrence["location"]] = component["name"]
        present = {f"/{path}" for path, _ in files(root)}
        assert set(owned) == present, f"{name}: {sorted(set(owned) ^ present)}"
        for location, owner in owned.items():
            if ".so" in location and owner != "weft":
                notices = list((root / "usr/share/doc" / owner).iterdir())
                assert notices, f"{name}: no notice of {owner}"


def test_what_is_linked_into_a_binary_is_named_too(roots):
    components = {name: {each["name"]: each for each in json.loads((root / SBOM).read_text())["components"]}
                  for name, root in roots.items()}
    assert {"tokenizers", "llguidance", "minijinja", "onig_sys", "katex"} <= set(components["weft-gateway"])
    assert "tokenizers" not in components["weft-scheduler"]
    worker, = (name for name in components if "worker" in name)
    assert {"torch", "nvidia-cuda-runtime", "tokenizers"} <= set(components[worker])
    assert not any(each["purl"].startswith("pkg:pypi") for each in components["weft-gateway"].values())
    texts = (roots["weft-gateway"] / "usr/share/doc/weft/crates.txt").read_text()
    assert f"tokenizers {components['weft-gateway']['tokenizers']['version']}" in texts


def test_an_upgrade_moves_little(store):
    worker = f"weft-worker-{store.preset}"
    for name, layers in (("weft-gateway", ["system", "weft"]),
                         (worker, ["system", "cuda", "torch", "weft"])):
        assert len(store.image(name).layers) == len(layers), name
        assert {path.name for path in (store.staged / name).iterdir()} == set(layers)
        own = sum(status.st_size for _, status in files(store.staged / name / "weft"))
        assert own <= 40 * MB, name
        # What else there is does not say when it was made.
        times = {path.lstat().st_mtime for path in (store.staged / name).rglob("*")}
        assert len(times) == 1, name


SERVICES = ("scheduler", "worker", "gateway")


class Composed:
    """compose.yaml's own three services, each in its image, with nothing of their commands changed."""

    def __init__(self, store, network, folder):
        self.store, self.network, self.folder = store, network, folder
        self.services = compose.services("compose.yaml")
        self.containers = {}

    def image(self, service):
        name = self.services[service]["image"].split(":")[0]
        return name.replace("weft-worker-cpu", f"weft-worker-{self.store.preset}")

    def start(self, service):
        settings = self.services[service]
        container = self.store.container(self.image(service), self.network)
        for mount in settings.get("volumes", []):
            source, path, mode = mount.split(":")
            assert mode == "ro"
            container.mount(compose.DEPLOY / source, path)
        for path in settings.get("tmpfs", []):
            (self.folder / service).mkdir(mode=0o777)
            (self.folder / service).chmod(0o777)
            container.mount(self.folder / service, path, "rw")
        self.containers[service] = container.start(settings["command"], self.folder / f"{service}.log")

    def probe(self, service):
        """As the health check does: the exit code and what it says."""
        kind, *words = self.services[service]["healthcheck"]["test"]
        assert kind == "CMD"
        done = self.containers[service].run(words[1:], entrypoint=words[:1])
        return done.returncode, done.stderr

    def logs(self):
        return "\n".join(f"---- {path.name}\n{path.read_text()[-2000:]}"
                         for path in sorted(self.folder.glob("*.log")))

    def kill(self):
        for container in self.containers.values():
            container.kill()


@pytest.fixture(scope="module")
def composed(store, tmp_path_factory):
    with Network(*SERVICES) as network:
        started = Composed(store, network, tmp_path_factory.mktemp("composed"))
        try:
            yield started
        finally:
            started.kill()


def test_they_serve_as_compose_starts_them(store, composed):
    composed.start("scheduler")
    healthy = stack.eventually(lambda: "no worker" in composed.probe("scheduler")[1], 60, 0.3)
    assert healthy, composed.logs()
    composed.start("worker")
    composed.start("gateway")
    for service in SERVICES:
        ready = stack.eventually(lambda service=service: composed.probe(service)[0] == 0, 120, 0.3)
        assert ready, (service, composed.probe(service), composed.logs())

    user = store.image("weft-gateway").config["User"].split(":")[0]
    for service, container in composed.containers.items():
        status = container.status()
        assert set(status["Uid"].split()) == {user}, service
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0, service
        assert status["NoNewPrivs"] == "1", service
        assert container.root_options() >= {"ro"}, service

    chat = ["chat", "--url=http://gateway:8000", "What is 17 + 25?"]
    tools = store.container("weft-tools", composed.network)
    tools.mount(composed.folder / "gateway.hosts", "/etc/hosts")
    answer = tools.run(chat)
    assert answer.returncode == 0, answer.stderr + composed.logs()
    assert "42" in answer.stdout

    for service in reversed(SERVICES):
        assert composed.containers[service].stop() == 0, (service, composed.logs())
        assert "drained" in composed.containers[service].log.read_text(), service


def test_a_model_is_pulled_into_a_volume(store, tmp_path):
    texts = {"config.json": b'{"model_type": "qwen2"}', "tokenizer.json": b"{}", "model.safetensors": b"w" * 999}
    pull = compose.services("compose.pull.yaml", {"HUB_MODEL": "acme/tiny"})["pull"]
    tools = store.container("weft-tools")
    with Hub(tmp_path) as hub:
        hub.publish("acme/tiny", texts)
        volume = tmp_path / "models"
        volume.mkdir()
        # As an engine fills a new volume: with what the image has there, and its owner.
        owner = (tools.root / "models").stat()
        os.chown(volume, owner.st_uid, owner.st_gid)
        tools.mount(volume, "/models", "rw").mount(hub.ca_file, "/etc/ssl/hub.crt")
        environment = dict(word.split("=") for word in pull["environment"] if "=" in word)
        done = tools.run(pull["command"], environment | {
            "HF_ENDPOINT": hub.url, "SSL_CERT_FILE": "/etc/ssl/hub.crt"})
    assert done.returncode == 0, done.stderr
    assert {path.name: path.read_bytes() for path in (volume / "model").iterdir()} == texts


def test_the_system_s_authorities_are_trusted(store, tmp_path):
    """Those of the image: it has the usual ones, and looks for no other file."""
    tools = store.container("weft-tools")
    bundle = tools.root / "etc/ssl/certs/ca-certificates.crt"
    assert bundle.read_text().count("BEGIN CERTIFICATE") > 100
    own = certificates.Authority(tmp_path / "own")
    with Hub(tmp_path) as hub:
        hub.publish("acme/tiny", {"config.json": b"{}", "tokenizer.json": b"{}"})
        words = ["pull", "acme/tiny", "--tokenizer-only"]
        environment = {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": "/models/hub"}
        (tmp_path / "models").mkdir()
        (tmp_path / "models").chmod(0o777)
        tools.mount(tmp_path / "models", "/models", "rw")
        assert "certificate" in tools.run(words, environment).stderr
        # The hub's authority among them: then it is believed.
        bundle.write_text(own.cert.read_text() + pathlib.Path(hub.ca_file).read_text())
        done = tools.run(words, environment)
        assert done.returncode == 0, done.stderr
