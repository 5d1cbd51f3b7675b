"""Who is let in, how far, and over what: keys, limits, TLS, browsers; with real processes."""

import contextlib
import datetime
import hashlib
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import time

import grpc
import httpx
import openai
import pytest
import stack
import streams
from grpc_health.v1 import health_pb2, health_pb2_grpc
from reflection import Service, details

ROOT_KEY = "sk-root"
QUESTION = [{"role": "user", "content": "What is 17 + 25?"}]


def sha256(key):
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


class KeyFile:
    """--api-key-file, replaced as an editor or a Secret does it."""

    def __init__(self, path):
        self.path = path
        self.write({})

    def write(self, keys):
        """keys: {key: further fields}; the name follows from the key."""
        self.write_text(json.dumps({"keys": [
            {"name": f"name-of-{key}", "key": sha256(key), **fields}
            for key, fields in keys.items()]}))

    def write_text(self, text):
        new = self.path.with_name("new")
        new.write_text(text)
        new.rename(self.path)


class Guarded:
    """A stack that asks for keys, and its file of them."""

    def __init__(self, served, keys):
        self.served = served
        self.keys = keys
        self.url = served.url

    def set_keys(self, **keys):
        before = self.reloads("ok")
        self.keys.write(keys)
        assert stack.eventually(lambda: self.reloads("ok") > before, 5), "not read again"

    def reloads(self, result):
        return self.served.metric("gateway", "weft_gateway_api_key_reloads_total", result=result)

    def client(self, key, **options):
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key,
                             **{"max_retries": 0, "timeout": 60, **options})

    def post(self, path, key=None, headers=None, **body):
        headers = {**(headers or {}), **({"Authorization": f"Bearer {key}"} if key else {})}
        return httpx.post(self.url + path, json=body, headers=headers, timeout=60)


@pytest.fixture(scope="module")
def guarded(bin_dir, tiny_model, tmp_path_factory):
    keys = KeyFile(tmp_path_factory.mktemp("keys") / "keys.json")
    # As `weft serve` hands them on.
    with stack.Served(bin_dir, tiny_model, [*streams.SIMULATED, "--api-key-file", str(keys.path),
                                            "--cors-origins", "https://a.example"],
                      environment={"WEFT_API_KEY": ROOT_KEY}) as served:
        yield Guarded(served, keys)
        served.expect_rest()


def complete(client, served, **fields):
    return client.completions.create(model=served.served_name, prompt="a", **{
        "max_tokens": 4, **fields})


# ---- keys ----

def declared_routes():
    """Every path that the source names as a route: a new one is denied, or shows up here."""
    source = (pathlib.Path(__file__).resolve().parents[2] / "gateway/openai/api.cc")
    paths = re.findall(r'constexpr std::string_view k\w+ =\s*"(/[^"]*)";', source.read_text())
    assert {"/v1/chat/completions", "/v1/models", "/health", "/version"} <= set(paths)
    return [path.replace("{id}", "weft-demo-r1") for path in paths]


# The playground's page and its files hold nothing but themselves.
OPEN_ROUTES = {"/health", "/", "/playground/main.js"}


@pytest.mark.parametrize("path", [*declared_routes(), "/", "/playground/main.js", "/nothing/here", "/v1/models/../x",
                                  "/metrics", "/openapi.json"])
def test_every_route_but_the_open_ones_asks_for_a_key(guarded, path):
    for method in ("GET", "POST", "HEAD", "DELETE"):
        answer = httpx.request(method, guarded.url + path)
        wrong = httpx.request(method, guarded.url + path, headers={"Authorization": "Bearer no"})
        if path in OPEN_ROUTES:
            assert answer.status_code != 401 and wrong.status_code != 401
            continue
        for one in (answer, wrong):
            assert one.status_code == 401, (method, path)
            assert one.headers["www-authenticate"] == "Bearer"
            if method != "HEAD":
                error = one.json()["error"]
                assert error["code"] == "invalid_api_key" and error["param"] is None
                assert error["type"] == "authentication_error"


def test_official_clients_with_a_right_key_and_a_wrong_one(guarded):
    served = guarded.served
    with guarded.client(ROOT_KEY) as client:
        assert complete(client, served).usage.completion_tokens == 4
        assert [model.id for model in client.models.list()] == [served.served_name]
    with guarded.client("sk-wrong") as client:
        for call in (client.models.list, lambda: complete(client, served),
                     lambda: complete(client, served, stream=True)):
            with pytest.raises(openai.AuthenticationError) as error:
                call()
            assert error.value.code == "invalid_api_key"
            assert "sk-wrong" not in str(error.value)
    failures = served.metric("gateway", "weft_gateway_auth_failures_total", reason="unknown")
    assert failures >= 3


@pytest.mark.parametrize("headers, status", [
    ({"Authorization": f"Bearer {ROOT_KEY}"}, 200), ({"authorization": f"bearer {ROOT_KEY}"}, 200),
    ({"x-api-key": ROOT_KEY}, 200), ({"api-key": ROOT_KEY}, 200),
    ({"Authorization": f"Basic {ROOT_KEY}"}, 401), ({"Authorization": ROOT_KEY}, 401),
    ({"Authorization": "Bearer"}, 401), ({"Authorization": f"Bearer {ROOT_KEY} x"}, 401),
    ({"Authorization": "Bearer " + "x" * 9000}, 401), ({"x-api-key": ROOT_KEY[:-1]}, 401),
])
def test_how_a_key_may_come(guarded, headers, status):
    answer = httpx.get(f"{guarded.url}/v1/models", headers=headers)
    assert answer.status_code == status, answer.text


def test_the_key_is_in_no_list_of_processes(guarded):
    for pid in guarded.served.pids().values():
        assert ROOT_KEY not in " ".join(stack.command_line(pid))
    assert ROOT_KEY not in guarded.served.log()


def test_a_key_made_by_weft_key_is_let_in(guarded, bin_dir):
    made = subprocess.run([bin_dir / "weft", "key", "alice", "--tenant", "t"], capture_output=True,
                          text=True, timeout=10, check=True)
    key, entry = made.stderr.strip(), json.loads(made.stdout)
    assert entry["key"] == sha256(key) and entry["name"] == "alice" and key not in made.stdout
    again = subprocess.run([bin_dir / "weft", "key", "alice", "--stdin"], input=key + "\n",
                           capture_output=True, text=True, timeout=10, check=True)
    assert json.loads(again.stdout)["key"] == entry["key"] and key not in again.stderr
    before = guarded.reloads("ok")
    guarded.keys.write_text(json.dumps({"keys": [entry]}))
    assert stack.eventually(lambda: guarded.reloads("ok") > before, 5)
    assert guarded.post("/tokenize", key, prompt="a").status_code == 200


# ---- the key file ----

def test_a_stream_outlives_its_key_and_a_broken_file_changes_nothing(guarded):
    guarded.set_keys(alice={}, bob={})
    with guarded.client("alice") as client:
        answer = complete(client, guarded.served, max_tokens=300, stream=True,
                          extra_body={"ignore_eos": True})
        chunks = iter(answer)
        next(chunks)
        guarded.set_keys(bob={})
        with pytest.raises(openai.AuthenticationError):
            complete(client, guarded.served)
        assert len(list(chunks)) > 1  # to its end
    failed = guarded.reloads("error")
    guarded.keys.write_text('{"keys": [{"name": "bob", "requests_per_hour": 1}]}')
    assert stack.eventually(lambda: guarded.reloads("error") == failed + 1, 5)
    assert "requests_per_hour" in guarded.served.log()
    assert guarded.post("/tokenize", "bob", prompt="a").status_code == 200
    guarded.keys.path.unlink()
    assert stack.eventually(lambda: guarded.reloads("error") == failed + 2, 5)
    assert guarded.post("/tokenize", "bob", prompt="a").status_code == 200


def test_a_secrets_links_turned_elsewhere_are_seen(guarded, tmp_path):
    def folder(name, keys):
        (tmp_path / name).mkdir()
        KeyFile(tmp_path / name / "keys.json").write(keys)
    folder("1", {"carol": {}})
    folder("2", {"dave": {}})
    (tmp_path / "..data").symlink_to("1")
    guarded.keys.path.unlink(missing_ok=True)
    before = guarded.reloads("ok")
    guarded.keys.path.symlink_to(tmp_path / "..data" / "keys.json")
    assert stack.eventually(lambda: guarded.reloads("ok") > before, 5)
    assert guarded.post("/tokenize", "carol", prompt="a").status_code == 200
    (tmp_path / "..next").symlink_to("2")
    (tmp_path / "..next").rename(tmp_path / "..data")
    assert stack.eventually(lambda: guarded.post("/tokenize", "dave", prompt="a").is_success, 5)
    assert guarded.post("/tokenize", "carol", prompt="a").status_code == 401
    guarded.keys.path.unlink()


# ---- scope and limits ----

def test_a_model_out_of_scope_is_forbidden(guarded):
    served = guarded.served
    guarded.set_keys(alice={"models": [served.served_name]}, eve={"models": ["another"]})
    with guarded.client("alice") as client:
        assert complete(client, served).usage
        assert [model.id for model in client.models.list()] == [served.served_name]
        assert client.models.retrieve(served.served_name).id == served.served_name
    with guarded.client("eve") as client:
        assert list(client.models.list()) == []
        for call in (lambda: complete(client, served), lambda: complete(client, served, echo=True),
                     lambda: client.chat.completions.create(model=served.served_name,
                                                            messages=QUESTION),
                     lambda: client.completions.create(model="nobody", prompt="a")):
            with pytest.raises(openai.PermissionDeniedError) as error:
                call()
            assert error.value.code == "model_not_found"
            assert error.value.type == "permission_error"
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve(served.served_name)
    for path, fields in {"/tokenize": {"prompt": "a"}, "/detokenize": {"tokens": [5]}}.items():
        assert guarded.post(path, "eve", **fields).status_code == 403
        assert guarded.post(path, "eve", model=served.served_name, **fields).status_code == 403
        assert guarded.post(path, "alice", **fields).status_code == 200
    info = {"headers": {"Authorization": "Bearer eve"}}
    assert httpx.get(f"{guarded.url}/tokenizer_info", **info).status_code == 403


def test_requests_per_minute(guarded):
    guarded.set_keys(alice={"requests_per_minute": 3})
    with guarded.client("alice") as client:
        for left in (2, 1, 0):
            answer = client.completions.with_raw_response.create(
                model=guarded.served.served_name, prompt=["a", "b"], max_tokens=1)
            assert answer.headers["x-ratelimit-limit-requests"] == "3"
            assert answer.headers["x-ratelimit-remaining-requests"] == str(left)
        with pytest.raises(openai.RateLimitError) as error:
            complete(client, guarded.served)
        assert error.value.code == "rate_limit_exceeded"
        assert 0 < int(error.value.response.headers["retry-after"]) <= 20
        assert "3 requests per minute" in str(error.value)
        client.models.list()  # costs nothing
    limited = guarded.served.metric("gateway", "weft_gateway_limited_total", limit="requests",
                                    tenant="name-of-alice")
    assert limited == 1


def test_the_official_client_waits_for_its_limit_and_goes_on(guarded):
    guarded.set_keys(quick={"requests_per_minute": 60})  # one a second
    with guarded.client("quick", max_retries=3) as client:
        for _ in range(60):
            guarded.post("/detokenize", "quick", tokens=[5])
        began = time.monotonic()
        assert complete(client, guarded.served).usage
        assert time.monotonic() - began < 10


def test_tokens_are_charged_as_they_are_used(guarded):
    guarded.set_keys(alice={"tokens_per_minute": 100})
    with guarded.client("alice") as client:
        used = complete(client, guarded.served, max_tokens=60,
                        extra_body={"ignore_eos": True}).usage
        answer = client.completions.with_raw_response.create(
            model=guarded.served.served_name, prompt="a", max_tokens=60,
            extra_body={"ignore_eos": True})
        # Some come back while the answers are made.
        left = int(answer.headers["x-ratelimit-remaining-tokens"])
        assert 100 - used.total_tokens <= left <= 100 - used.total_tokens + 10
        with pytest.raises(openai.RateLimitError) as error:
            complete(client, guarded.served)
        assert "100 tokens per minute" in str(error.value)


def test_requests_at_one_time(guarded):
    guarded.set_keys(alice={"max_concurrent_requests": 2})
    with guarded.client("alice") as client, contextlib.ExitStack() as open_streams:
        for _ in range(2):
            chunks = complete(client, guarded.served, max_tokens=2000, stream=True,
                              extra_body={"ignore_eos": True})
            open_streams.callback(chunks.close)
            next(iter(chunks))
        with pytest.raises(openai.RateLimitError) as error:
            complete(client, guarded.served)
        assert int(error.value.response.headers["retry-after"]) >= 1
        with guarded.client(ROOT_KEY) as other:
            complete(other, guarded.served)
        open_streams.close()  # who leaves makes room
        assert stack.eventually(lambda: guarded.post(
            "/v1/completions", "alice", prompt="a", max_tokens=1).is_success, 5)


# ---- browsers ----

def test_a_preflight_passes_without_a_key_and_origins_are_told_apart(guarded):
    ask = {"Access-Control-Request-Method": "POST",
           "Access-Control-Request-Headers": "authorization, content-type"}
    url = f"{guarded.url}/v1/chat/completions"
    known = httpx.options(url, headers={"Origin": "https://a.example", **ask})
    assert known.status_code == 204
    assert known.headers["access-control-allow-origin"] == "https://a.example"
    assert "authorization" in known.headers["access-control-allow-headers"]
    other = httpx.options(url, headers={"Origin": "https://b.example", **ask})
    assert "access-control-allow-origin" not in other.headers
    assert "access-control-allow-headers" not in other.headers
    for origin in ("https://a.example", "https://b.example"):
        answer = guarded.post("/v1/completions", ROOT_KEY, headers={"Origin": origin}, prompt="a",
                              max_tokens=1)
        refused = guarded.post("/v1/completions", headers={"Origin": origin}, prompt="a")
        for one in (answer, refused):
            assert one.headers["vary"] == "Origin"
            expected = origin if "a.example" in origin else None
            assert one.headers.get("access-control-allow-origin") == expected


# ---- gRPC ----

def bearer(key):
    return (("authorization", f"Bearer {key}"),)


def with_key(channel, key):
    class Interceptor(grpc.StreamStreamClientInterceptor):
        def intercept_stream_stream(self, continuation, details, request_iterator):
            return continuation(details._replace(metadata=bearer(key)), request_iterator)
    return grpc.intercept_channel(channel, Interceptor())


def test_grpc_asks_for_the_same_keys(guarded):
    guarded.set_keys(alice={"requests_per_minute": 1}, eve={"models": ["another"]})
    with grpc.insecure_channel(guarded.served.grpc_address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        assert health.Check(health_pb2.HealthCheckRequest(), timeout=5).status == 1
        with pytest.raises(grpc.RpcError) as error:
            Service(channel).descriptor  # pylint: disable=expression-not-assigned
        assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED
        service = Service(with_key(channel, ROOT_KEY))
        service.channel = channel
        calls = {"Chat": {"messages": QUESTION, "options": {"max_tokens": 2}},
                 "StreamChat": {"messages": QUESTION, "options": {"max_tokens": 2}},
                 "Complete": {"text": "a", "options": {"max_tokens": 2}},
                 "StreamComplete": {"text": "a", "options": {"max_tokens": 2}},
                 "Tokenize": {"text": "a"}, "Detokenize": {"tokens": [5]}, "ListModels": {},
                 "GetTokenizerInfo": {}, "GetVersion": {}}
        assert set(calls) == {method.name for method in service.descriptor.methods}

        def call(name, **options):
            answer = service.method(name)(**calls[name], **options)
            return list(answer) if name.startswith("Stream") else answer

        for name in calls:
            for metadata in ((), bearer("wrong"), (("x-api-key", "wrong"),)):
                with pytest.raises(grpc.RpcError) as error:
                    call(name, metadata=metadata)
                assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED, name
            call(name, metadata=bearer(ROOT_KEY))
            call(name, metadata=(("x-api-key", ROOT_KEY),))
            if name == "ListModels":
                assert list(call(name, metadata=bearer("eve")).models) == []
            if name in ("ListModels", "GetVersion"):  # of no model in particular
                continue
            with pytest.raises(grpc.RpcError) as error:
                call(name, metadata=bearer("eve"))
            assert error.value.code() == grpc.StatusCode.PERMISSION_DENIED, name

        call("Complete", metadata=bearer("alice"))
        with pytest.raises(grpc.RpcError) as error:
            call("Complete", metadata=bearer("alice"))
        assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        told = details(error.value)
        assert 0 < told["RetryInfo"].retry_delay.ToTimedelta().total_seconds() <= 60
        assert told["ErrorInfo"].reason == "rate_limit_exceeded"


# ---- TLS ----

def make_certificate(folder, name="localhost", days=1):
    """cert.pem and key.pem, self-signed, each replaced at once."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", str(days), "-subj", f"/CN={name}",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", folder / "key.new", "-out", folder / "cert.new"],
        check=True, capture_output=True, timeout=30)
    (folder / "key.new").rename(folder / "key.pem")
    (folder / "cert.new").rename(folder / "cert.pem")


class Secured:
    def __init__(self, served, folder):
        self.served = served
        self.folder = folder
        self.url = f"https://localhost:{served.port}"

    def trust(self):
        return ssl.create_default_context(cafile=str(self.folder / "cert.pem"))

    def client(self, **options):
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=ROOT_KEY, max_retries=0,
                             timeout=60, http_client=httpx.Client(verify=self.trust()), **options)

    def shown(self):
        """The certificate that a new connection is shown."""
        return ssl.get_server_certificate(("127.0.0.1", self.served.port), timeout=10)

    def reloads(self, result):
        return self.served.metric("gateway", "weft_gateway_tls_reloads_total", result=result)

    def grpc_channel(self):
        credentials = grpc.ssl_channel_credentials((self.folder / "cert.pem").read_bytes())
        return grpc.secure_channel(f"localhost:{self.served.grpc_port}", credentials)


@pytest.fixture(scope="module")
def secured(bin_dir, tiny_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    make_certificate(folder)
    with stack.Served(bin_dir, tiny_model, [
            *streams.SIMULATED, "--tls-cert", str(folder / "cert.pem"), "--tls-key",
            str(folder / "key.pem")], environment={"WEFT_API_KEY": ROOT_KEY}) as served:
        assert f"https://127.0.0.1:{served.port}/v1" in served.output()
        assert "Authorization: Bearer" in served.output()
        yield Secured(served, folder)
        served.expect_rest()


def test_official_clients_speak_tls(secured):
    with secured.client() as client:
        whole = complete(client, secured.served, max_tokens=200, seed=1,
                         extra_body={"ignore_eos": True})
        chunks = list(complete(client, secured.served, max_tokens=200, seed=1, stream=True,
                               extra_body={"ignore_eos": True}))
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text
    assert whole.usage.completion_tokens == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{secured.url}/health")  # nobody vouches for this certificate


def test_a_certificate_is_renewed_under_an_open_stream(secured):
    before = secured.shown()
    with secured.client() as client:
        answer = iter(complete(client, secured.served, max_tokens=1000, stream=True,
                               extra_body={"ignore_eos": True}))
        next(answer)
        count = secured.reloads("ok")
        make_certificate(secured.folder, name="renewed")
        assert stack.eventually(lambda: secured.reloads("ok") > count, 5)
        assert secured.shown() != before
        for chunk in answer:
            last = chunk
        assert last.choices[0].finish_reason == "length"
    with secured.client() as client:  # which trusts the new one only
        assert complete(client, secured.served).usage


def test_a_pair_that_does_not_fit_changes_nothing(secured):
    before, count = secured.shown(), secured.reloads("error")
    good = (secured.folder / "key.pem").read_bytes()
    (secured.folder / "key.pem").write_text("no key")
    assert stack.eventually(lambda: secured.reloads("error") > count, 5)
    assert secured.shown() == before
    count = secured.reloads("ok")
    (secured.folder / "key.pem").write_bytes(good)
    assert stack.eventually(lambda: secured.reloads("ok") > count, 5)
    assert secured.shown() == before
    expiry = secured.served.metric("gateway", "weft_gateway_tls_certificate_expiry_seconds")
    assert 0 < expiry - datetime.datetime.now().timestamp() <= 86400


def test_plain_http_on_a_tls_port_is_told_to_use_https(secured):
    answer = httpx.get(f"http://127.0.0.1:{secured.served.port}/v1/models")
    assert answer.status_code == 400
    assert "https://" in answer.json()["error"]["message"]


def test_old_tls_is_refused(secured):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", secured.served.port), timeout=10) as plain, \
            pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(plain)


def test_handshakes_that_never_end_are_cut_and_disturb_nobody(secured):
    """The start of a ClientHello, a byte a second, from many at once."""
    address = ("127.0.0.1", secured.served.port)
    slow = [socket.create_connection(address, timeout=20) for _ in range(50)]
    began = time.monotonic()
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(20)
    for at in range(20):
        for one in slow:
            with contextlib.suppress(OSError):
                one.send(hello[at:at + 1])
        if at == 5:
            with secured.client() as client:
                assert complete(client, secured.served).usage
        time.sleep(0.6)
    for one in slow:
        with contextlib.suppress(ConnectionError):
            assert one.recv(100) == b""
        one.close()
    assert time.monotonic() - began < 15
    assert secured.served.metric("gateway", "weft_gateway_tls_handshakes_failed_total") >= 50


def test_grpc_speaks_tls_and_follows_the_certificate(secured):
    def ask():
        with secured.grpc_channel() as channel:
            service = Service(with_key(channel, ROOT_KEY))
            service.channel = channel
            return service.method("Complete")(text="a", options={"max_tokens": 3},
                                              metadata=bearer(ROOT_KEY), timeout=10)
    assert ask().usage.completion_tokens == 3
    with grpc.insecure_channel(secured.served.grpc_address) as channel, \
            pytest.raises(grpc.RpcError) as error:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
    assert error.value.code() == grpc.StatusCode.UNAVAILABLE
    with secured.grpc_channel() as channel:  # an open one goes on
        service = Service(with_key(channel, ROOT_KEY))
        service.channel = channel
        chunks = service.method("StreamComplete")(
            text="a", options={"max_tokens": 1000, "ignore_eos": True}, metadata=bearer(ROOT_KEY))
        next(chunks)
        make_certificate(secured.folder, name="again")

        def is_followed():
            with contextlib.suppress(grpc.RpcError):
                return ask()
        assert stack.eventually(is_followed, 10, 0.3)
        assert sum(1 for _ in chunks) > 1


# ---- refusals at the start ----

@pytest.mark.parametrize("flags, word", [
    (["--tls-cert", "cert.pem"], "--tls-key"),
    (["--tls-key", "key.pem"], "--tls-cert"),
    (["--tls-cert", "/nowhere/cert.pem", "--tls-key", "/nowhere/key.pem"], "/nowhere/cert.pem"),
    (["--api-key-file", "/nowhere/keys.json"], "/nowhere/keys.json"),
    (["--api-key", "a b"], "visible ASCII"),
    (["--cors-origins", "https://a.example/page"], "https://a.example/page"),
    (["--cors-origins", "*,none"], "stand alone"),
])
def test_a_gateway_that_cannot_keep_its_word_does_not_start(bin_dir, tiny_model, flags, word):
    port, grpc_port, admin_port = stack.free_ports(3)
    done = subprocess.run(
        [bin_dir / "weft-gateway", "--model", tiny_model, "--port", str(port), "--grpc-port",
         str(grpc_port), "--admin-port", str(admin_port), *flags],
        capture_output=True, text=True, timeout=30, check=False, env={
            **os.environ, "WEFT_API_KEY": ""})
    assert done.returncode != 0
    assert word in done.stderr + done.stdout


def test_clients_without_a_certificate_are_not_let_in(bin_dir, tiny_model, tmp_path):
    make_certificate(tmp_path)
    own, other = tmp_path / "own", tmp_path / "other"
    for folder in (own, other):
        folder.mkdir()
        make_certificate(folder, name="client")
    flags = ["--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"),
             "--tls-client-ca", str(own / "cert.pem")]

    def trust(folder=None):
        context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        if folder is not None:
            context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        return context

    def channel(folder=None):
        pair = [(folder / name).read_bytes() for name in ("key.pem", "cert.pem")] if folder else []
        return grpc.secure_channel(f"localhost:{served.grpc_port}", grpc.ssl_channel_credentials(
            (tmp_path / "cert.pem").read_bytes(), *pair))

    with stack.Served(bin_dir, tiny_model, [*streams.SIMULATED, *flags]) as served:
        url = f"https://localhost:{served.port}/v1/models"
        assert httpx.get(url, verify=trust(own)).is_success
        for folder in (None, other):
            with pytest.raises(httpx.TransportError):
                httpx.get(url, verify=trust(folder))
            with channel(folder) as refused, pytest.raises(grpc.RpcError) as error:
                health_pb2_grpc.HealthStub(refused).Check(health_pb2.HealthCheckRequest(),
                                                          timeout=5)
            assert error.value.code() == grpc.StatusCode.UNAVAILABLE
        with channel(own) as accepted:
            health = health_pb2_grpc.HealthStub(accepted)
            assert stack.eventually(
                lambda: health.Check(health_pb2.HealthCheckRequest(), timeout=5).status == 1, 5)
