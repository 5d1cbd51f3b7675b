// How fast an answer comes, from what its stream says and when. Times are in
// milliseconds of one clock (performance.now).

// What came in less time came in one piece, after a wait somewhere: no rate.
const LEAST_RATE_MS = 50;

export class AnswerStats {
  #startedAt;
  #firstAt = null; // the first text
  #numFirstTokens = 0; // what came with it: its time is no part of the rate
  #lastAt = null; // the last text
  #hasReasoned = false;
  #reasoningEndedAt = null;
  #endedAt = null;
  #numPieces = 0;
  #numSeenReasoning = 0; // tokens until the last reasoning
  #usage = null;

  constructor(now) {
    this.#startedAt = now;
  }

  // One chunk, as streamChat yields it.
  onChunk({ reasoning, content, usage }, now) {
    if (usage) this.#usage = usage;
    if (reasoning === "" && content === "") return;
    this.#numPieces += 1;
    if (reasoning !== "") {
      this.#numSeenReasoning = this.numTokens;
      this.#hasReasoned = true;
    }
    if (content !== "" && this.#hasReasoned) this.#reasoningEndedAt ??= now;
    if (this.#firstAt === null) {
      this.#firstAt = now;
      this.#numFirstTokens = this.numTokens;
    }
    this.#lastAt = now;
  }

  onEnd(now) {
    this.#endedAt = now;
    if (this.#hasReasoned) this.#reasoningEndedAt ??= now;
  }

  // The server's count; where it tells none, the pieces that came.
  get numTokens() {
    return this.#usage?.completion_tokens ?? this.#numPieces;
  }

  // Servers tell it at the end only, and zero on the way.
  get numReasoningTokens() {
    return this.#usage?.completion_tokens_details?.reasoning_tokens || this.#numSeenReasoning;
  }

  get numPromptTokens() {
    return this.#usage?.prompt_tokens ?? null;
  }

  // Null before the first text.
  get ttftMs() {
    return this.#firstAt === null ? null : this.#firstAt - this.#startedAt;
  }

  // Behind the first text; null while that says nothing.
  get tokensPerSecond() {
    const ms = this.#lastAt - this.#firstAt;
    const numTokens = this.numTokens - this.#numFirstTokens;
    return ms >= LEAST_RATE_MS && numTokens > 0 ? (numTokens * 1000) / ms : null;
  }

  elapsedMs(now) {
    return (this.#endedAt ?? now) - this.#startedAt;
  }

  // From the question to the answer's first word; null if the model has not reasoned.
  reasoningMs(now) {
    return this.#hasReasoned ? (this.#reasoningEndedAt ?? now) - this.#startedAt : null;
  }

  get isReasoning() {
    return this.#hasReasoned && this.#reasoningEndedAt === null;
  }
}
