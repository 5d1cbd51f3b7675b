// What has been said. A turn is one question and an answer of each model that was
// asked; each model is told its own past answers.

import { AnswerStats } from "./stats.js";

// waiting -> streaming -> done | stopped | failed
export class Answer {
  reasoning = "";
  content = "";
  state = "waiting";
  finishReason = null;
  error = null;

  constructor(model, now) {
    this.model = model;
    this.stats = new AnswerStats(now);
  }

  get isOpen() {
    return this.state === "waiting" || this.state === "streaming";
  }

  add(chunk, now) {
    this.state = "streaming";
    this.reasoning += chunk.reasoning;
    this.content += chunk.content;
    this.finishReason = chunk.finishReason ?? this.finishReason;
    this.stats.onChunk(chunk, now);
  }

  end(state, now, error = null) {
    this.state = state;
    this.error = error;
    this.stats.onEnd(now);
  }
}

export class Conversation {
  turns = [];

  // A new turn: {question, answers: Map from a model's name to its Answer}.
  ask(question, models, now) {
    const answers = new Map(models.map((model) => [model, new Answer(model, now)]));
    const turn = { question, answers };
    this.turns.push(turn);
    return turn;
  }

  // The messages that ask `model` for its answer in `turn`. A turn that it has not
  // answered is told with another's answer; one that nobody has answered is left out.
  messagesFor(model, turn, systemPrompt) {
    const messages = systemPrompt ? [{ role: "system", content: systemPrompt }] : [];
    for (const past of this.turns.slice(0, this.turns.indexOf(turn))) {
      const others = [...past.answers.values()];
      const answer = [past.answers.get(model), ...others].find((one) => one?.content);
      if (!answer) continue;
      messages.push({ role: "user", content: past.question });
      messages.push({ role: "assistant", content: answer.content });
    }
    messages.push({ role: "user", content: turn.question });
    return messages;
  }
}
