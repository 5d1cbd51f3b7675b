import assert from "node:assert/strict";
import test from "node:test";

import { Conversation } from "./conversation.js";

const chunk = (content, reasoning = "") => ({
  content,
  reasoning,
  finishReason: null,
  usage: null,
});

function answered(conversation, question, answers) {
  const turn = conversation.ask(question, Object.keys(answers), 0);
  for (const [model, content] of Object.entries(answers)) {
    if (content) turn.answers.get(model).add(chunk(content, "hm"), 1);
    turn.answers.get(model).end(content ? "done" : "failed", 2);
  }
  return turn;
}

const said = (messages) => messages.map(({ role, content }) => `${role[0]}:${content}`).join(" ");

test("a model is told its own answers, without their reasoning", () => {
  const conversation = new Conversation();
  answered(conversation, "q1", { a: "a1", b: "b1" });
  const turn = conversation.ask("q2", ["a", "b"], 0);
  assert.equal(said(conversation.messagesFor("a", turn, "")), "u:q1 a:a1 u:q2");
  assert.equal(said(conversation.messagesFor("b", turn, "")), "u:q1 a:b1 u:q2");
});

test("the system prompt comes first, if there is one", () => {
  const conversation = new Conversation();
  const turn = conversation.ask("q", ["a"], 0);
  assert.equal(said(conversation.messagesFor("a", turn, "be brief")), "s:be brief u:q");
});

test("a model that joins later is told what another has answered", () => {
  const conversation = new Conversation();
  answered(conversation, "q1", { a: "a1" });
  const turn = conversation.ask("q2", ["b"], 0);
  assert.equal(said(conversation.messagesFor("b", turn, "")), "u:q1 a:a1 u:q2");
});

test("what nobody has answered is left out, so that roles alternate", () => {
  const conversation = new Conversation();
  answered(conversation, "q1", { a: "" });
  answered(conversation, "q2", { a: "a2" });
  const turn = conversation.ask("q3", ["a"], 0);
  assert.equal(said(conversation.messagesFor("a", turn, "")), "u:q2 a:a2 u:q3");
});

test("asked again, a model is told only what was before", () => {
  const conversation = new Conversation();
  answered(conversation, "q1", { a: "a1" });
  const turn = answered(conversation, "q2", { a: "a2" });
  assert.equal(said(conversation.messagesFor("a", turn, "")), "u:q1 a:a1 u:q2");
});

test("an answer goes from waiting through streaming to its end", () => {
  const answer = new Conversation().ask("q", ["a"], 0).answers.get("a");
  assert.equal(answer.state, "waiting");
  answer.add(chunk("", "r"), 1);
  answer.add({ ...chunk("c"), finishReason: "length" }, 2);
  answer.add(chunk(""), 3);
  assert.deepEqual(
    [answer.state, answer.isOpen, answer.reasoning, answer.content, answer.finishReason],
    ["streaming", true, "r", "c", "length"],
  );
  answer.end("done", 4);
  assert.ok(!answer.isOpen);
});
