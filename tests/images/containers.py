"""Images as buildah makes them, and containers without an engine: a root that cannot be written to,
the image's user and environment, and a network of their own that has nothing but loopback.

    with Store(preset) as store, Network() as network:
        gateway = store.container("weft-gateway", network).start(["--host=0.0.0.0"])
"""

import contextlib
import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile

import stack

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Store:
    """All images of a build, in a storage that goes away with it."""

    def __init__(self, preset):
        self.preset = preset
        self.staged = ROOT / "dist" / "images" / preset

    def buildah(self, *words):
        done = subprocess.run(["buildah", *words], env=self.environment, capture_output=True,
                              text=True, check=False)
        assert done.returncode == 0, f"buildah {shlex.join(words)}\n{done.stderr}"
        return done.stdout.strip()

    def image(self, name):
        return Image(self, name)

    def container(self, name, network=None):
        """A new one, with a layer of its own above the image's, as an engine would make it."""
        working = self.buildah("from", "--pull-never", f"{name}:{self.version}")
        self.working.append(working)
        return Container(self.image(name), pathlib.Path(self.buildah("mount", working)), network)

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="weft-images-")
        folder = pathlib.Path(self.folder.name)
        # Containers' users must get through to what is mounted out of it.
        folder.chmod(0o755)
        settings = folder / "storage.conf"
        settings.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/store"\n'
                            f'runroot = "{folder}/run"\n')
        # vfs copies, and so needs no mounts and no kernel that stacks file systems.
        self.environment = {**os.environ, "CONTAINERS_STORAGE_CONF": str(settings),
                            "STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"}
        self.working, self.images = [], {}
        done = subprocess.run([ROOT / "scripts" / "images.sh", self.preset], env=self.environment,
                              capture_output=True, text=True, check=False)
        self.output = done.stdout
        assert done.returncode == 0, done.stdout + done.stderr
        self.version = done.stdout.split()[1]
        return self

    def __exit__(self, *exception):
        with contextlib.suppress(AssertionError):
            if self.working:
                self.buildah("rm", *self.working)
        # A mount that is left belongs to nobody any more.
        shutil.rmtree(self.folder.name, ignore_errors=True)


class Image:
    def __init__(self, store, name):
        self.name = name
        manifest = json.loads(store.buildah("inspect", "--type", "image", f"{name}:{store.version}"))
        self.config = manifest["OCIv1"]["config"]
        self.layers = manifest["OCIv1"]["rootfs"]["diff_ids"]


class Network:
    """Loopback with every port free, where names of services lead to it."""

    def __init__(self, *names):
        self.names = names

    def __enter__(self):
        holder = pathlib.Path(__file__).with_name("hold_network.py")
        self.holder = subprocess.Popen(["unshare", "--net", sys.executable, holder], text=True,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.holder.stdout.readline() == "up\n"
        return self

    def enter(self, command):
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", *command]

    def __exit__(self, *exception):
        self.holder.communicate()


class Container:
    def __init__(self, image, root, network):
        self.image, self.root, self.network = image, root, network
        self.mounts = []  # (source, path, options)
        self.process = None

    def mount(self, source, path, options="ro"):
        """A folder or file of this machine."""
        self.mounts.append((source, path, options))
        return self

    def command(self, words, environment, entrypoint=None):
        """Mounts as an engine does, then gives up root's rights for good."""
        root = shlex.quote(str(self.root))
        lines = ["set -e", f"mount --bind {root} {root}"]
        for source, path, options in [("/proc", "/proc", None), ("/dev", "/dev", None), *self.mounts]:
            target = self.root / path.lstrip("/")
            if pathlib.Path(source).is_dir():
                target.mkdir(parents=True, exist_ok=True)
            else:
                target.touch()
            lines.append(f"mount --rbind {shlex.quote(str(source))} {shlex.quote(str(target))}")
            if options == "ro":
                lines.append(f"mount -o remount,bind,ro {shlex.quote(str(target))}")
        lines.append(f"mount -o remount,bind,ro {root}")
        environment = [*self.image.config["Env"], *(f"{k}={v}" for k, v in environment.items())]
        entrypoint = entrypoint or self.image.config["Entrypoint"]
        user = self.image.config["User"]
        # chroot and the change of user take three rights, and give up all of them.
        lines.append("exec env -i " + shlex.join(environment) + " " + shlex.join([
            "setpriv", "--no-new-privs", "--inh-caps=-all",
            "--bounding-set=-all,+sys_chroot,+setuid,+setgid",
            "chroot", f"--userspec={user}", "--groups=", str(self.root), *entrypoint, *words]))
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", "\n".join(lines)]
        return self.network.enter(command) if self.network else command

    def start(self, words, log, environment=()):
        if self.network:
            hosts = pathlib.Path(log).with_suffix(".hosts")
            hosts.write_text(f"127.0.0.1 localhost {' '.join(self.network.names)}\n")
            self.mount(hosts, "/etc/hosts")
        self.log = pathlib.Path(log)
        with self.log.open("w") as output:
            self.process = subprocess.Popen(self.command(words, dict(environment)), stdout=output,
                                            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                            preexec_fn=stack.die_with_us)
        return self

    def run(self, words, environment=(), entrypoint=None):
        """To its end: CompletedProcess."""
        return subprocess.run(self.command(words, dict(environment), entrypoint), capture_output=True,
                              text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)

    def status(self):
        """The fields of /proc/PID/status."""
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return dict(line.split(":\t", 1) for line in lines if ":\t" in line)

    def root_options(self):
        """Of the mount that the process sees as /."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/mountinfo").read_text().splitlines():
            fields = line.split()
            if fields[4] == "/":
                return set(fields[5].split(","))
        return set()

    def stop(self, limit_s=60):
        """The exit code after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(limit_s)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
