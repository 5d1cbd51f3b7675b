import assert from "node:assert/strict";
import test from "node:test";

import { readEvents, SseParser } from "./sse.js";

const bytes = (text) => new TextEncoder().encode(text);
const data = (events) => events.map((event) => event.data);

const STREAM =
  '\uFEFFdata: {"a":"häß 思考 🧮"}\n\n: still here\n\ndata: one\ndata: two\r\n\r\n' +
  "event: note\rdata:no space\r\rid: 7\nretry: 10\ndata\n\ndata: [DONE]\n\n";
const EVENTS = ['{"a":"häß 思考 🧮"}', "one\ntwo", "no space", "", "[DONE]"];

test("events come out of a whole stream", () => {
  assert.deepEqual(data(new SseParser().push(bytes(STREAM))), EVENTS);
});

test("a stream may be cut in two anywhere, and in pieces of any size", () => {
  const whole = bytes(STREAM);
  for (let cut = 0; cut <= whole.length; ++cut) {
    const parser = new SseParser();
    const events = [...parser.push(whole.slice(0, cut)), ...parser.push(whole.slice(cut))];
    assert.deepEqual(data(events), EVENTS, `cut at ${cut}`);
  }
  for (let size = 1; size < 20; ++size) {
    const parser = new SseParser();
    const events = [];
    for (let at = 0; at < whole.length; at += size)
      events.push(...parser.push(whole.slice(at, at + size)));
    assert.deepEqual(data(events), EVENTS, `pieces of ${size}`);
  }
});

test("an event has its type, and the next one its own", () => {
  const events = new SseParser().push(bytes("event: error\ndata: a\n\ndata: b\n\n"));
  assert.deepEqual(events, [
    { type: "error", data: "a" },
    { type: "message", data: "b" },
  ]);
});

test("what no blank line has ended is no event", () => {
  const parser = new SseParser();
  assert.deepEqual(parser.push(bytes("data: half")), []);
  assert.deepEqual(parser.push(bytes("\n")), []);
  assert.deepEqual(data(parser.push(bytes("\n"))), ["half"]);
});

test("a body is cancelled when its reader has enough", async () => {
  let isCancelled = false;
  const body = new ReadableStream({
    pull: (controller) => controller.enqueue(bytes("data: x\n\n")),
    cancel: () => void (isCancelled = true),
  });
  for await (const event of readEvents(body)) {
    assert.equal(event.data, "x");
    break;
  }
  assert.ok(isCancelled);
});
