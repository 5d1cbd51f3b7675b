// One model's answer on the page: its reasoning, folded away, the answer itself, how
// fast it came, and what went wrong.

import { copyText } from "./clipboard.js";
import { make } from "./dom.js";
import { MarkdownView } from "./markdown_view.js";
import { countTokens, duration, t } from "./texts.js";

export class AnswerView {
  constructor(answer, { showsModel, onRegenerate }) {
    this.answer = answer;
    this.summary = make("summary");
    this.reasoning = make("div", { className: "prose" });
    this.details = make(
      "details",
      { className: "reasoning", hidden: true },
      this.summary,
      this.reasoning,
    );
    // What is folded is not drawn; opened, it goes on live.
    this.details.addEventListener("toggle", () => this.#drawReasoning());
    this.content = make("div", { className: "prose content" });
    this.error = make("div", { className: "error", role: "alert", hidden: true });
    this.stats = make("p", { className: "stats" });
    this.copy = make("button", { type: "button", className: "quiet", onclick: () => this.#copy() });
    this.regenerate = make("button", {
      type: "button",
      className: "quiet regenerate",
      onclick: onRegenerate,
    });
    this.element = make(
      "article",
      { className: "answer", "aria-label": answer.model },
      ...(showsModel ? [make("h3", {}, answer.model)] : []),
      this.details,
      this.content,
      this.error,
      make("footer", {}, this.stats, make("div", {}, this.copy, this.regenerate)),
    );
    this.reasoningView = new MarkdownView(this.reasoning);
    this.contentView = new MarkdownView(this.content);
    this.update();
  }

  update() {
    const { answer } = this;
    this.element.dataset.state = answer.state;
    this.element.ariaBusy = String(answer.isOpen);
    this.#drawReasoning();
    this.contentView.update(answer.content);
    this.#drawError();
    this.stats.textContent = this.#statsText();
    this.copy.textContent = t("copy");
    this.copy.hidden = answer.isOpen || answer.content === "";
    this.regenerate.textContent = answer.state === "failed" ? t("tryAgain") : t("regenerate");
    this.regenerate.hidden = answer.isOpen;
  }

  #drawReasoning() {
    const { reasoning, stats } = this.answer;
    if (reasoning === "") return;
    this.details.hidden = false;
    this.details.classList.toggle("live", stats.isReasoning);
    const word = stats.isReasoning ? t("thinking") : t("thought");
    const facts = [
      countTokens(stats.numReasoningTokens),
      duration(stats.reasoningMs(performance.now())),
    ];
    this.summary.textContent = `${word} · ${facts.join(" · ")}`;
    if (this.details.open) this.reasoningView.update(reasoning);
  }

  #statsText() {
    const { answer } = this;
    const { stats } = answer;
    const elapsed = duration(stats.elapsedMs(performance.now()));
    if (answer.state === "waiting") return `${t("waiting")} · ${elapsed}`;
    const facts = [];
    if (stats.ttftMs !== null) facts.push(t("ttft", { ms: duration(stats.ttftMs) }));
    if (stats.tokensPerSecond !== null)
      facts.push(t("rate", { rate: stats.tokensPerSecond.toFixed(1) }));
    if (stats.numTokens > 0) facts.push(countTokens(stats.numTokens), elapsed);
    if (answer.state === "stopped") facts.push(t("stopped"));
    if (answer.finishReason === "length") facts.push(t("cutOff"));
    return facts.join(" · ");
  }

  #drawError() {
    const { error } = this.answer;
    this.error.hidden = error === null;
    if (error === null) return;
    this.error.replaceChildren(...errorParts(error));
  }

  async #copy() {
    this.copy.textContent = (await copyText(this.answer.content)) ? t("copied") : t("copyFailed");
    setTimeout(() => (this.copy.textContent = t("copy")), 1500);
  }
}

// An ApiError in words: a heading, the server's own, and when to try again.
export function errorParts(error) {
  const heading = error.status === 200 ? t("failedMidway") : t("failed");
  const kind = [error.status > 200 && error.status, error.code ?? error.type]
    .filter(Boolean)
    .join(" · ");
  const words =
    {
      unreachable: t("unreachable"),
      broken_stream: t("brokenStream"),
    }[error.type] ?? error.message;
  const isOurs = error.message === ""; // nobody has told us anything
  const parts = [
    make("strong", {}, isOurs ? words : heading),
    ...(isOurs ? [] : [make("p", {}, words)]),
  ];
  if (error.status === 401) parts.push(make("p", {}, t("needsKey")));
  if (error.retryAfterS !== null)
    parts.push(make("p", {}, t("retryAfter", { s: Math.ceil(error.retryAfterS) })));
  if (kind && !isOurs) parts.push(make("small", {}, kind));
  return parts;
}
