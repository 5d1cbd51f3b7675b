import assert from "node:assert/strict";
import test from "node:test";

import { ApiError, groupByRoot, listModels, streamChat } from "./api.js";

// fetch, answering as told; what it was asked is kept.
function answerWith(body, { status = 200, headers = {} } = {}) {
  const calls = [];
  globalThis.fetch = async (path, options) => {
    calls.push({ path, ...options });
    return new Response(body, { status, headers });
  };
  return calls;
}

const frames = (...chunks) =>
  chunks
    .map((chunk) => `data: ${typeof chunk === "string" ? chunk : JSON.stringify(chunk)}\n\n`)
    .join("");
const delta = (fields, more = {}) => ({
  choices: [{ index: 0, delta: fields, finish_reason: null, ...more }],
});

async function collect(stream) {
  const chunks = [];
  try {
    for await (const chunk of stream) chunks.push(chunk);
  } catch (error) {
    return { chunks, error };
  }
  return { chunks, error: null };
}
const chat = () => collect(streamChat({ model: "m", messages: [] }, { apiKey: "k" }));

test("a chat streams with the counts that the page shows, and the key", async () => {
  const calls = answerWith(
    frames(
      delta({ role: "assistant", content: "" }),
      delta({ reasoning_content: "hm", reasoning: "hm" }),
      delta({ reasoning: "so" }), // as vLLM has it now
      { ...delta({ content: "42" }), usage: { completion_tokens: 3 } },
      delta({}, { finish_reason: "stop" }),
      { choices: [], usage: { completion_tokens: 4 } },
      "[DONE]",
    ),
  );
  const { chunks, error } = await chat();
  assert.equal(error, null);
  assert.deepEqual(chunks.map(({ reasoning }) => reasoning).join("|"), "|hm|so|||");
  assert.equal(chunks.map(({ content }) => content).join(""), "42");
  assert.equal(chunks[4].finishReason, "stop");
  assert.equal(chunks[5].usage.completion_tokens, 4);
  const [{ path, method, headers, body }] = calls;
  assert.deepEqual(
    [path, method, headers.Authorization],
    ["v1/chat/completions", "POST", "Bearer k"],
  );
  const { stream, stream_options: options } = JSON.parse(body);
  assert.ok(stream && options.include_usage && options.continuous_usage_stats);
});

test("an error is told in the server's words, with its time to wait", async () => {
  answerWith(
    JSON.stringify({
      error: { message: "The server is overloaded.", type: "server_error", code: null },
    }),
    { status: 503, headers: { "Retry-After": "2" } },
  );
  const { error } = await chat();
  assert.ok(error instanceof ApiError);
  assert.deepEqual(
    [error.message, error.status, error.type, error.retryAfterS],
    ["The server is overloaded.", 503, "server_error", 2],
  );
});

test("what is no API's answer is told, too", async () => {
  answerWith("<h1>502 Bad Gateway</h1>", { status: 502 });
  const { error } = await chat();
  assert.deepEqual(
    [error.message, error.status, error.retryAfterS],
    ["<h1>502 Bad Gateway</h1>", 502, null],
  );
  answerWith('{"error":"Unauthorized"}', { status: 401 });
  assert.equal((await chat()).error.message, "Unauthorized");
});

test("a frame of error ends the stream behind what came before", async () => {
  answerWith(
    frames(
      delta({ content: "half" }),
      { error: { message: "The worker is lost.", type: "server_error" } },
      "[DONE]",
    ),
  );
  const { chunks, error } = await chat();
  assert.equal(chunks[0].content, "half");
  assert.deepEqual([error.message, error.status], ["The worker is lost.", 200]);
});

test("a stream without its end is broken, and so is one that makes no sense", async () => {
  for (const body of [frames(delta({ content: "half" })), frames("{"), ""]) {
    answerWith(body);
    assert.equal((await chat()).error.type, "broken_stream");
  }
});

test("a server that is not there is unreachable", async () => {
  globalThis.fetch = async () => {
    throw new TypeError("Failed to fetch");
  };
  const { error } = await chat();
  assert.deepEqual([error.type, error.status], ["unreachable", 0]);
});

test("names with one root are one model", async () => {
  assert.deepEqual(
    groupByRoot([
      { id: "reasoner", root: "/m/a", max_model_len: 2048 },
      { id: "first", root: "/m/a", max_model_len: 2048 },
      { id: "solver", root: "/m/b" },
      { id: "rootless" },
    ]),
    [
      { id: "reasoner", aliases: ["first"], maxModelLen: 2048 },
      { id: "solver", aliases: [], maxModelLen: null },
      { id: "rootless", aliases: [], maxModelLen: null },
    ],
  );
  const calls = answerWith(JSON.stringify({ data: [{ id: "m", root: "m" }] }));
  assert.deepEqual(await listModels(""), [{ id: "m", aliases: [], maxModelLen: null }]);
  assert.deepEqual(calls[0].headers, {});
});
