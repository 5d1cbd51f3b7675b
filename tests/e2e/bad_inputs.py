"""The table of bad inputs: what a client may get wrong, and the answer that it gets.

FRAMING is HTTP itself: the answer closes the connection, for where the next request
would begin is not known. ROUTING is refused by its head, BODIES by their JSON, by a
field's value or by what is asked; then the connection stays.
"""

import dataclasses
import gzip
import json

from raw import chunked, wire

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
MESSAGES = [{"role": "user", "content": "What is 17 + 25?"}]
DEEP = 100_000  # levels: below any limit of size, far above any limit of depth


@dataclasses.dataclass(frozen=True)
class Case:
    what: str       # also the test's id
    data: bytes     # all that is sent
    status: int
    named: str = ""  # what the message or `param` says

    @property
    def type(self):
        return {404: "not_found_error", 408: "timeout_error"}.get(self.status,
                                                                  "invalid_request_error")


# ---- framing ----

def framed(lines, body=b""):
    """A POST with these header lines, as they are."""
    lines = lines if isinstance(lines, bytes) else lines.encode()
    return (b"POST /v1/completions HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
            + lines + b"\r\n" + body)


def in_chunks(body):
    return framed("Transfer-Encoding: chunked\r\n", body)


BODY = b'{"prompt":"a","max_tokens":1}'  # 29 bytes
CHUNKED = b"1d\r\n" + BODY + b"\r\n0\r\n\r\n"

FRAMING = [Case(*case) for case in [
    ("Content-Length and Transfer-Encoding",
     framed("Content-Length: 29\r\nTransfer-Encoding: chunked\r\n", CHUNKED), 400, "both"),
    ("two Content-Lengths that differ",
     framed("Content-Length: 29\r\nContent-Length: 2\r\n", BODY), 400, "Content-Length"),
    ("Content-Length with a plus", framed("Content-Length: +29\r\n", BODY), 400, "plain digits"),
    ("Content-Length below zero", framed("Content-Length: -1\r\n", BODY), 400, "plain digits"),
    ("Content-Length in hexadecimal", framed("Content-Length: 0x1d\r\n", BODY), 400,
     "plain digits"),
    ("Content-Length above 2^63", framed("Content-Length: 9223372036854775809\r\n", BODY), 400,
     "plain digits"),
    ("Transfer-Encoding chunked, identity",
     framed("Transfer-Encoding: chunked, identity\r\n", CHUNKED), 400, "chunked"),
    ("two Transfer-Encodings",
     framed("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", CHUNKED), 400,
     "more than one Transfer-Encoding"),
    ("chunk size with an underscore", in_chunks(b"0_2e\r\n" + BODY), 400, "chunk"),
    ("chunk size below zero", in_chunks(b"-2\r\n" + BODY), 400, "chunk"),
    ("chunk size above 2^64", in_chunks(b"1000000000000001d\r\n" + BODY), 400, "body"),
    ("lines that end in a bare LF",
     framed("Content-Length: 29\r\n", BODY).replace(b"\r\n", b"\n"), 400, "LF"),
    ("CR in a chunk's extension", in_chunks(b"1d;a\rb\r\n" + BODY), 400, "body"),
    ("NUL in a header's value", framed(b"X: a\0b\r\nContent-Length: 29\r\n", BODY), 400, "byte"),
    ("CR in a header's value", framed(b"X: a\rb\r\nContent-Length: 29\r\n", BODY), 400, "CR"),
    ("a blank before the colon", framed("Content-Length : 29\r\n", BODY), 400, "colon"),
    ("a folded header line", framed("X: a\r\n b\r\nContent-Length: 29\r\n", BODY), 400, "folded"),
    ("no Host", b"GET /v1/models HTTP/1.1\r\n\r\n", 400, "Host"),
    ("two Hosts", b"GET /v1/models HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "Host"),
    ("a hundred thousand chunks", in_chunks(b"1\r\n \r\n" * 100_000), 413, "chunks"),
    ("a large header", framed(f"X: {'a' * 20_000}\r\n"), 431, "16384"),
    ("many headers", framed("X: a\r\n" * 200), 431, "100 header lines"),
    ("a long URI", f"GET /{'a' * 9000} HTTP/1.1\r\nHost: test\r\n\r\n".encode(), 414, "8192"),
    ("an unknown version", b"GET /v1/models HTTP/3.0\r\nHost: test\r\n\r\n", 505, "HTTP/1.1"),
    ("an unknown expectation", framed("Expect: miracles\r\nContent-Length: 29\r\n", BODY), 417,
     "100-continue"),
    # Nothing is ever inflated, so that there is no bomb: it is refused as an encoding.
    ("a gzip bomb", framed("Content-Encoding: gzip\r\nContent-Length: 29\r\n",
                           gzip.compress(bytes(1 << 20))), 415, "encoded"),
    ("an unknown content encoding", framed("Content-Encoding: zip\r\nContent-Length: 29\r\n", BODY),
     415, "encoded"),
    ("a body over the limit", framed("Content-Length: 3000000\r\n", b" " * 3_000_000), 413,
     "2000000"),
    ("chunks over the limit", in_chunks(b"10000\r\n" + b" " * 65536 + b"\r\n"
                                        + (b"10000\r\n" + b" " * 65536 + b"\r\n") * 40), 413,
     "2000000"),
]]

# ---- routing ----

ROUTING = [Case(*case) for case in [
    ("a method that the path has not", wire(CHAT, method="DELETE"), 405, "POST"),
    ("an unknown path", wire("/v1/nothing", BODY), 404, "/v1/nothing"),
    ("a body that says it is no JSON",
     wire(CHAT, BODY).replace(b"application/json", b"text/xml"), 415, "application/json"),
    ("a body in another character set",
     wire(CHAT, BODY).replace(b"application/json", b"application/json; charset=utf-16"), 415,
     "UTF-8"),
]]

# ---- bodies ----


def chat(**fields):
    return CHAT, json.dumps({"messages": MESSAGES, "max_tokens": 4, **fields})


def completion(**fields):
    return COMPLETIONS, json.dumps({"prompt": "a", "max_tokens": 4, **fields})


def raw(fields):
    """A chat whose JSON is written by hand."""
    return CHAT, '{"messages":[{"role":"user","content":"hi"}],"max_tokens":4,' + fields + "}"


def content(parts):
    return chat(messages=[{"role": "user", "content": parts}])


def schema(value):
    return chat(response_format={"type": "json_schema",
                                 "json_schema": {"name": "s", "schema": value}})


def nested(depth):
    return '{"a":' * depth + "1" + "}" * depth


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}

JSON = [
    ("an empty body", (CHAT, ""), 400, ""),
    ("a truncated body", (CHAT, '{"messages": [{"role": "us'), 400, "JSON"),
    ("an array", (CHAT, "[1, 2]"), 400, "object"),
    ("arrays 100,000 deep", (CHAT, "[" * DEEP), 400, "JSON"),
    ("objects 100,000 deep", (CHAT, nested(DEEP)), 400, "JSON"),
    ("a key twice", raw('"n":1,"n":2'), 400, '"n"'),
    ("bytes that are no UTF-8", (CHAT, b'{"messages":[{"role":"user","content":"\xff\xfe"}]}'), 400,
     "UTF-8"),
    ("half a surrogate pair", raw(r'"user":"\ud800"'), 400, "JSON"),
    ("NaN", raw('"temperature":NaN'), 400, "JSON"),
    ("Infinity", raw('"temperature":Infinity'), 400, "JSON"),
    ("1e400", raw('"temperature":1e400'), 400, "JSON"),
    ("2^63 for an integer", raw('"seed":9223372036854775808'), 400, "seed"),
    ("1.5 for an integer", raw('"top_k":1.5'), 400, "top_k"),
    ("bytes behind the end", (CHAT, chat()[1] + " x"), 400, "JSON"),
    ("a byte order mark", (CHAT, b"\xef\xbb\xbf" + chat()[1].encode()), 400, "JSON"),
]

PARAMETERS = [
    ("n 0", chat(n=0), 400, "n"),
    ("n -1", chat(n=-1), 400, "n"),
    ("n 2^31", chat(n=2**31), 400, "n"),
    ("max_tokens 0", chat(max_tokens=0), 400, "max_tokens"),
    ("max_tokens -5", completion(max_tokens=-5), 400, "max_tokens"),
    ("max_tokens huge", chat(max_tokens=10**12), 400, "max_tokens"),
    ("temperature -1", chat(temperature=-1), 400, "temperature"),
    ("temperature 1e30", chat(temperature=1e30), 400, "temperature"),
    ("top_p 0", chat(top_p=0), 400, "top_p"),
    ("top_p 2", chat(top_p=2), 400, "top_p"),
    ("top_k -2", chat(top_k=-2), 400, "top_k"),
    ("logit_bias for id -1", chat(logit_bias={"-1": 1}), 400, "logit_bias"),
    ("logit_bias past the vocabulary", chat(logit_bias={"99999999": 1}), 400, "logit_bias"),
    ("logit_bias for x", chat(logit_bias={"x": 1}), 400, "logit_bias"),
    ("logit_bias of 1e9", chat(logit_bias={"5": 1e9}), 400, "logit_bias"),
    ("logit_bias of -1e9", chat(logit_bias={"5": -1e9}), 400, "logit_bias"),
    ("logit_bias for 100,000 ids", chat(logit_bias={str(i): 1 for i in range(100_000)}), 400,
     "logit_bias"),
    ("an empty stop", chat(stop=""), 400, "stop"),
    ("a thousand stops", chat(stop=["x"] * 1000), 400, "stop"),
    ("a stop of a megabyte", chat(stop="x" * 1_000_000), 400, "stop"),
    ("top_logprobs -1", chat(logprobs=True, top_logprobs=-1), 400, "top_logprobs"),
    ("top_logprobs 1e6", chat(logprobs=True, top_logprobs=10**6), 400, "top_logprobs"),
    ("logprobs -1", completion(logprobs=-1), 400, "logprobs"),
    ("logprobs 1e6", completion(logprobs=10**6), 400, "logprobs"),
    ("token id -1", completion(prompt=[1, -1]), 400, "prompt"),
    ("token id past the vocabulary", completion(prompt=[99_999_999]), 400, "prompt"),
    ("stop token id -1", chat(stop_token_ids=[-1]), 400, "stop_token_ids"),
    ("stop token id past the vocabulary", chat(stop_token_ids=[10**9]), 400, "stop_token_ids"),
    ("seed 2^64", raw('"seed":18446744073709551616'), 400, "seed"),
    ("presence_penalty 3", chat(presence_penalty=3), 400, "presence_penalty"),
    ("frequency_penalty -3", chat(frequency_penalty=-3), 400, "frequency_penalty"),
    ("repetition_penalty 0", chat(repetition_penalty=0), 400, "repetition_penalty"),
    ("repetition_penalty -1", chat(repetition_penalty=-1), 400, "repetition_penalty"),
    ("stream yes", chat(stream="yes"), 400, "stream"),
    ("an unknown model", chat(model="nobody"), 404, "nobody"),
    ("a model with a path", chat(model="../../etc/passwd"), 404, "model"),
    ("chat_template", chat(chat_template="{{ 7 * 7 }}"), 400, "chat_template"),
    ("chat_template by the back door",
     chat(chat_template_kwargs={"chat_template": "{{ 7 * 7 }}"}), 400, "chat_template"),
]

CONTENT = [
    ("no messages", chat(messages=[]), 400, "messages"),
    ("messages absent", (CHAT, "{}"), 400, "messages"),
    ("messages null", chat(messages=None), 400, "messages"),
    ("a message null", chat(messages=[None]), 400, "messages"),
    ("a role that is none", chat(messages=[{"role": "king", "content": "x"}]), 400, "role"),
    ("content null", chat(messages=[{"role": "user", "content": None}]), 400, "content"),
    ("content a number", chat(messages=[{"role": "user", "content": 5}]), 400, "content"),
    ("an image", content([IMAGE]), 400, "text only"),
    ("a prompt over the context", completion(prompt="one two three " * 20_000), 400, "context"),
    ("prompt and output over the context", completion(max_tokens=100_000), 400, "context"),
    ("a million times the same letter", content("a" * 1_000_000), 400, "context"),
    ("a schema 2,000 deep", (CHAT, chat()[1][:-1] + ',"response_format":{"type":"json_schema",'
                             '"json_schema":{"name":"s","schema":' + nested(2000) + "}}}"), 400,
     "JSON"),
    ("a $ref to itself", schema({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}), 400,
     "response_format"),
]

BODIES = [Case(what, wire(*request), status, named)
          for what, request, status, named in [*JSON, *PARAMETERS, *CONTENT]]
