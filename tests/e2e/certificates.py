"""Certificates made on the spot, with openssl."""

import subprocess


class Authority:
    def __init__(self, folder, name="authority"):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.cert = folder / f"{name}.pem"
        self.key = folder / f"{name}.key"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-days", "1", "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.cert)

    def issue(self, folder, names):
        """tls.crt, tls.key and ca.crt in `folder`, as a Secret of cert-manager has them; names:
        its SANs, such as DNS:gateway. Each is replaced at once."""
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / "new"
        new.mkdir()
        request, extensions = new / "request", new / "extensions"
        extensions.write_text("subjectAltName=" + ",".join(names) + "\n")
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-subj", "/CN=weft", "-keyout", new / "tls.key", "-out", request)
        _openssl("x509", "-req", "-in", request, "-days", "1", "-CA", self.cert, "-CAkey", self.key,
                 "-CAcreateserial", "-extfile", extensions, "-out", new / "tls.crt")
        (new / "ca.crt").write_bytes(self.cert.read_bytes())
        for name in ("tls.key", "tls.crt", "ca.crt"):
            (new / name).rename(folder / name)
        for left in (request, extensions):
            left.unlink()
        new.rmdir()


def _openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)
