import assert from "node:assert/strict";
import test from "node:test";

import { AnswerStats } from "./stats.js";

const usage = (completion, reasoning) => ({
  prompt_tokens: 9,
  completion_tokens: completion,
  completion_tokens_details: { reasoning_tokens: reasoning },
});
const chunk = (fields) => ({
  reasoning: "",
  content: "",
  finishReason: null,
  usage: null,
  ...fields,
});

test("time to the first token is from the question to the first text", () => {
  const stats = new AnswerStats(1000);
  stats.onChunk(chunk({}), 1100); // the role alone
  assert.equal(stats.ttftMs, null);
  stats.onChunk(chunk({ content: "a" }), 1250);
  stats.onChunk(chunk({ content: "b" }), 1300);
  assert.equal(stats.ttftMs, 250);
});

test("the rate counts what came behind the first text", () => {
  const stats = new AnswerStats(0);
  stats.onChunk(chunk({ content: "a", usage: usage(4, 0) }), 500);
  assert.equal(stats.tokensPerSecond, null);
  stats.onChunk(chunk({ content: "b", usage: usage(14, 0) }), 600);
  assert.equal(stats.tokensPerSecond, 100); // 10 in 100 ms
  stats.onChunk(chunk({ usage: usage(14, 0) }), 900); // the last usage alone slows nothing
  stats.onEnd(900);
  assert.equal(stats.tokensPerSecond, 100);
  assert.equal(stats.elapsedMs(5000), 900);
  assert.equal(stats.numPromptTokens, 9);
});

test("what comes in one piece has no rate", () => {
  const stats = new AnswerStats(0);
  stats.onChunk(chunk({ content: "a", usage: usage(1, 0) }), 500);
  stats.onChunk(chunk({ content: "b", usage: usage(37, 0) }), 500.1);
  assert.equal(stats.tokensPerSecond, null);
});

test("a server that counts nothing is counted by its pieces", () => {
  const stats = new AnswerStats(0);
  for (let i = 0; i < 5; ++i) stats.onChunk(chunk({ reasoning: "r" }), 10 * i);
  for (let i = 5; i < 8; ++i) stats.onChunk(chunk({ content: "c" }), 10 * i);
  assert.equal(stats.numTokens, 8);
  assert.equal(stats.numReasoningTokens, 5);
  assert.equal(stats.numPromptTokens, null);
});

test("reasoning lasts from the question to the answer's first word", () => {
  const stats = new AnswerStats(0);
  assert.equal(stats.reasoningMs(50), null);
  stats.onChunk(chunk({ reasoning: "hm", usage: usage(3, 3) }), 100);
  assert.ok(stats.isReasoning);
  assert.equal(stats.reasoningMs(350), 350);
  stats.onChunk(chunk({ content: "so", usage: usage(5, 4) }), 400);
  assert.ok(!stats.isReasoning);
  assert.equal(stats.reasoningMs(9999), 400);
  assert.equal(stats.numReasoningTokens, 4);
});

test("reasoning is counted on its way, though servers tell its number at the end", () => {
  const stats = new AnswerStats(0);
  stats.onChunk(chunk({ reasoning: "hm", usage: usage(3, 0) }), 100);
  assert.equal(stats.numReasoningTokens, 3);
  stats.onChunk(chunk({ reasoning: "so", usage: usage(5, 0) }), 200);
  stats.onChunk(chunk({ content: "42", usage: usage(9, 0) }), 300);
  assert.equal(stats.numReasoningTokens, 5);
  stats.onChunk(chunk({ usage: usage(9, 6) }), 300);
  assert.equal(stats.numReasoningTokens, 6);
});

test("reasoning that is cut off ends with the answer", () => {
  const stats = new AnswerStats(0);
  stats.onChunk(chunk({ reasoning: "hm" }), 100);
  stats.onEnd(600);
  assert.ok(!stats.isReasoning);
  assert.equal(stats.reasoningMs(9999), 600);
});
