"""Traces from a client's request to the worker, as a collector receives them."""

import base64
import collections
import contextlib
import http.server
import json
import os
import re
import threading
import time

import grpc
import openai
import pytest
import stack
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from reflection import Service

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = f"00-{TRACE}-{SPAN}-01"
UNSAMPLED = f"00-{TRACE}-{SPAN}-00"
ERROR = 2


class Span:
    def __init__(self, service, span):
        self.service, self.name = service, span.name
        self.trace, self.id = span.trace_id.hex(), span.span_id.hex()
        self.parent = span.parent_span_id.hex()
        self.begin, self.end = span.start_time_unix_nano, span.end_time_unix_nano
        self.kind, self.status = span.kind, span.status
        self.attributes = {pair.key: getattr(pair.value, pair.value.WhichOneof("value"))
                           for pair in span.attributes}


class Collector:
    """OTLP over HTTP with JSON. It reads what comes by the official schema, strictly."""

    def __init__(self):
        self.spans, self.status, self.delay_s = [], 200, 0
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                time.sleep(collector.delay_s)
                if collector.status == 200:
                    collector.take(self.path, self.headers, body)
                with contextlib.suppress(OSError):
                    self.send_response(collector.status)
                    self.send_header("content-length", "2")
                    self.end_headers()
                    self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, path, headers, body):
        assert (path, headers["content-type"]) == ("/v1/traces", "application/json")
        # Its JSON has ids in hex, where protobuf's has bytes in base64.
        text = re.sub(r'"(traceId|spanId|parentSpanId)":"([0-9a-f]+)"',
                      lambda m: f'"{m[1]}":"{_base64(m[2])}"', body.decode())
        request = json_format.Parse(text, trace_service_pb2.ExportTraceServiceRequest())
        for resource in request.resource_spans:
            about = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            assert set(about) == {"service.name", "service.version", "service.instance.id"}
            for scope in resource.scope_spans:
                self.spans += [Span(about["service.name"], span) for span in scope.spans]

    def of(self, trace, count=0):
        """A trace's spans by name, once there are that many."""
        found = lambda: [span for span in self.spans if span.trace == trace]
        assert stack.eventually(lambda: len(found()) >= count, 20), [s.name for s in found()]
        by_name = collections.defaultdict(list)
        for span in found():
            by_name[span.name].append(span)
        return by_name

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def _base64(digits):
    return base64.b64encode(bytes.fromhex(digits)).decode()


def new_trace(flags="01"):
    """(trace id, traceparent)"""
    trace = os.urandom(16).hex()
    return trace, f"00-{trace}-{SPAN}-{flags}"


@pytest.fixture(scope="module")
def collector():
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture(scope="module")
def traced(bin_dir, tiny_model, collector):
    flags = ["--otlp-endpoint", collector.url, "--log-level", "debug", "--log-format", "json"]
    with stack.Served(bin_dir, tiny_model, flags) as served:
        served.remember_baseline()
        yield served


def complete(served, traceparent, **options):
    headers = {} if traceparent is None else {"traceparent": traceparent}
    # Not closed here: a stream is still read.
    return served.client().completions.create(
        **{"model": served.served_name, "prompt": "a", "max_tokens": 5, **options},
        extra_headers=headers)


ROUTE = "POST /v1/completions"


def test_a_request_is_one_tree_under_its_clients_span(traced, collector):
    trace, parent = new_trace()
    before = time.time_ns()
    complete(traced, parent, extra_body={"ignore_eos": True})
    after = time.time_ns()
    spans = collector.of(trace, 5)
    assert {name: len(all_) for name, all_ in spans.items()} == {
        ROUTE: 1, f"generate {traced.served_name}": 1, "queue": 1, "prefill": 1, "decode": 1}
    [request], [generate] = spans[ROUTE], spans[f"generate {traced.served_name}"]
    [queue], [prefill], [decode] = spans["queue"], spans["prefill"], spans["decode"]
    assert request.parent == SPAN and generate.parent == request.id
    assert {span.parent for span in (queue, prefill, decode)} == {generate.id}
    assert len({span.id for all_ in spans.values() for span in all_}) == 5
    assert (request.service, generate.service) == ("weft-gateway", "weft-gateway")
    assert {span.service for span in (queue, prefill, decode)} == {"weft-scheduler"}
    # One machine, one clock: parts lie within the whole, one behind the other.
    slack = 20_000_000
    assert before - slack <= request.begin <= request.end <= after + slack
    assert request.begin - slack <= generate.begin <= generate.end <= request.end + slack
    assert generate.begin - slack <= queue.begin <= decode.end <= generate.end + slack
    assert queue.end == pytest.approx(prefill.begin, abs=slack)
    assert prefill.end == pytest.approx(decode.begin, abs=slack)
    assert request.attributes["http.response.status_code"] == 200
    assert generate.attributes["gen_ai.request.model"] == traced.served_name
    assert generate.attributes["gen_ai.usage.output_tokens"] == 5
    assert 0 < generate.attributes["weft.time_to_first_token_s"] < 60
    assert decode.attributes["weft.output_tokens"] == 5
    assert decode.attributes["weft.finish_reason"] == "length"
    assert not any(span.status.code for all_ in spans.values() for span in all_)


def test_each_choice_has_its_own_phases(traced, collector):
    trace, parent = new_trace()
    complete(traced, parent, n=3, extra_body={"ignore_eos": True})
    spans = collector.of(trace, 2 + 3 * 3)
    assert [len(spans[name]) for name in ("queue", "prefill", "decode")] == [3, 3, 3]
    [generate] = spans[f"generate {traced.served_name}"]
    assert generate.attributes["gen_ai.request.choice.count"] == 3


def test_a_stream_is_traced_to_its_end(traced, collector):
    trace, parent = new_trace()
    for _ in complete(traced, parent, stream=True, max_tokens=20,
                      extra_body={"ignore_eos": True}):
        pass
    assert collector.of(trace, 5)["decode"][0].attributes["weft.output_tokens"] == 20


def test_over_grpc(traced, collector):
    trace, parent = new_trace()
    with grpc.insecure_channel(traced.grpc_address) as channel:
        Service(channel).method("Complete")(text="a", options={"max_tokens": 5, "ignore_eos": True},
                                            metadata=[("traceparent", parent)])
    spans = collector.of(trace, 5)
    [call] = spans["weft.v1.InferenceService/Complete"]
    assert call.parent == SPAN
    assert call.attributes["rpc.grpc.status_code"] == 0
    assert spans[f"generate {traced.served_name}"][0].parent == call.id


def test_who_does_not_record_its_trace_gets_no_spans(traced, collector):
    for parent in (UNSAMPLED, None, "00-nonsense", SAMPLED + ", " + SAMPLED):
        complete(traced, parent)
    trace, parent = new_trace()  # behind them: what they made would have come before
    complete(traced, parent)
    collector.of(trace, 5)
    assert collector.of(TRACE) == {}
    assert {span.parent for span in collector.spans if span.name == ROUTE} == {SPAN}


def test_a_refused_request_says_why(traced, collector):
    trace, parent = new_trace()
    with pytest.raises(openai.BadRequestError):
        complete(traced, parent, temperature=9)
    spans = collector.of(trace, 1)
    assert list(spans) == [ROUTE]
    [request] = spans[ROUTE]
    assert request.attributes["http.response.status_code"] == 400
    assert request.status.code != ERROR  # the client's own fault is no error of the server's


def test_a_client_that_leaves(traced, collector):
    trace, parent = new_trace()
    stream = complete(traced, parent, stream=True, max_tokens=4000,
                      extra_body={"ignore_eos": True})
    next(iter(stream))
    stream.close()
    spans = collector.of(trace, 5)
    [request] = spans[ROUTE]
    assert (request.status.code, request.status.message) == (ERROR, "the client left")
    assert spans["decode"][0].attributes["weft.finish_reason"] == "cancelled"


def test_log_lines_name_the_trace(traced):
    trace, parent = new_trace(flags="00")  # whether it is recorded or not
    complete(traced, parent)
    # The line comes behind the answer.
    assert stack.eventually(lambda: trace in traced.log(), 10)
    lines = [json.loads(line) for line in traced.log().splitlines() if trace in line]
    assert {line["trace_id"] for line in lines} == {trace}
    assert any("/v1/completions 200" in line["message"] for line in lines)
    assert not any(trace in line["message"] for line in lines)


def test_requests_without_a_trace_begin_one_by_the_ratio(bin_dir, tiny_model):
    collector = Collector()
    with stack.Served(bin_dir, tiny_model, ["--otlp-endpoint", collector.url, "--trace-ratio",
                                            "1"]) as served:
        complete(served, None, extra_body={"ignore_eos": True})
        complete(served, UNSAMPLED)
        assert stack.eventually(lambda: len(collector.spans) >= 5, 20)
        requests = [span for span in collector.spans if span.name == ROUTE]
        assert [span.parent for span in requests] == [""]
        assert len(collector.of(requests[0].trace, 5)) == 5
        # What is not sent yet is sent at the end.
        complete(served, SAMPLED, extra_body={"ignore_eos": True})
    assert sum(map(len, collector.of(TRACE).values())) == 5
    collector.close()


def test_a_collector_that_is_away_or_slow_costs_spans_only(bin_dir, tiny_model):
    collector = Collector()
    collector.status, collector.delay_s = 503, 0.5
    with stack.Served(bin_dir, tiny_model, ["--otlp-endpoint", collector.url]) as served:
        for _ in range(20):
            complete(served, SAMPLED)
        assert stack.eventually(lambda: served.log().count("takes no spans") >= 2, 20)
        time.sleep(1)
        for _ in range(20):
            complete(served, SAMPLED)
        # Said once by each of the two, not with every batch.
        assert served.log().count("takes no spans") == 2
        began = time.monotonic()
        served.stop()
        assert time.monotonic() - began < 15
    assert collector.spans == []
    collector.close()


def test_a_bad_endpoint_is_refused_at_the_start(bin_dir, tiny_model):
    served = stack.Served(bin_dir, tiny_model, ["--otlp-endpoint", "collector:4318"])
    served.launch()
    assert served.process.wait(30) != 0
    assert "such as http://collector:4318" in served.log() + served.output()
