// The page: asks, shows, stops.

import { AnswerView, errorParts } from "./answer_view.js";
import { ApiError, listModels, streamChat } from "./api.js";
import { Answer, Conversation } from "./conversation.js";
import { find, make, perFrame } from "./dom.js";
import { chosenModels, drawModels, setModels } from "./model_picker.js";
import { openSettings, readSettings, startSettings } from "./settings.js";
import { countTokens, switchLanguage, t, translate } from "./texts.js";

const scroller = find("main");
const place = find("#turns");
const question = find("#question");

let conversation = new Conversation();
let views = []; // of every answer on the page
const running = new Map(); // view -> AbortController

// ---- asking ----

// False if there is nobody to ask, nothing to say, or an answer still under way.
function ask(text) {
  const models = chosenModels();
  if (models.length === 0) loadModels();
  if (models.length === 0 || running.size > 0 || text.trim() === "") return false;
  const turn = conversation.ask(text.trim(), models, performance.now());
  const answers = make("div", { className: "answers" });
  place.append(
    make(
      "section",
      { className: "turn" },
      make("h2", { className: "question" }, turn.question),
      answers,
    ),
  );
  document.body.classList.toggle("compares", models.length > 1);
  for (const answer of turn.answers.values()) {
    const view = addView(answer, turn);
    answers.append(view.element);
    run(view, turn);
  }
  isFollowing = true;
  announce(t("answering"));
  draw();
  return true;
}

function addView(answer, turn) {
  const view = new AnswerView(answer, {
    showsModel: turn.answers.size > 1,
    onRegenerate: () => askAgain(view, turn),
  });
  views.push(view);
  return view;
}

function askAgain(old, turn) {
  if (running.has(old)) return;
  const answer = new Answer(old.answer.model, performance.now());
  turn.answers.set(answer.model, answer);
  const view = addView(answer, turn);
  old.element.replaceWith(view.element);
  views = views.filter((one) => one !== old);
  question.focus();
  run(view, turn);
}

// Streams one answer to its end, which is written down in the answer.
async function run(view, turn) {
  const { answer } = view;
  const { apiKey, systemPrompt, sampling } = readSettings();
  const abort = new AbortController();
  running.set(view, abort);
  draw();
  try {
    const messages = conversation.messagesFor(answer.model, turn, systemPrompt);
    const request = { model: answer.model, messages, ...sampling };
    for await (const chunk of streamChat(request, { apiKey, signal: abort.signal })) {
      answer.add(chunk, performance.now());
      draw();
    }
    answer.end("done", performance.now());
    announce(t("answerDone", { tokens: countTokens(answer.stats.numTokens) }));
  } catch (error) {
    if (abort.signal.aborted) {
      answer.end("stopped", performance.now());
      announce(t("answerStopped"));
    } else {
      const told = error instanceof ApiError ? error : new ApiError({ message: String(error) });
      answer.end("failed", performance.now(), told);
      announce(t("answerFailed"));
      if (told.status === 401) askForKey();
    }
  }
  running.delete(view);
  draw();
}

function stop() {
  for (const abort of running.values()) abort.abort();
}

function clear() {
  stop();
  conversation = new Conversation();
  views = [];
  place.replaceChildren();
  document.body.classList.remove("compares");
  draw();
  question.focus();
}

async function loadModels() {
  const notice = find("#notice");
  try {
    setModels(await listModels(readSettings().apiKey));
    notice.hidden = true;
  } catch (error) {
    const retry = make(
      "button",
      { type: "button", className: "quiet", onclick: loadModels },
      t("tryAgain"),
    );
    notice.replaceChildren(...errorParts(error), retry);
    notice.hidden = false;
    if (error.status === 401) askForKey();
  }
}

const askForKey = () => openSettings({ field: "api_key", onClose: loadModels });

// ---- showing ----

const draw = perFrame(() => {
  for (const view of views.filter(isMoving)) view.update();
  const isRunning = running.size > 0;
  document.body.classList.toggle("running", isRunning);
  find("#stop").hidden = !isRunning;
  find("#send").hidden = isRunning;
  find("#welcome").hidden = views.length > 0;
  if (isFollowing) scroller.scrollTop = scroller.scrollHeight;
});

// Drawn again: what streams, and what has ended since it was drawn last.
const isMoving = (view) => view.answer.isOpen || view.element.dataset.state !== view.answer.state;

// The view stays at the end of what grows, until a person scrolls away from it.
let isFollowing = true;
scroller.addEventListener(
  "scroll",
  () => {
    isFollowing = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 60;
  },
  { passive: true },
);

// Clocks go on while nothing comes.
setInterval(() => running.size > 0 && draw(), 200);

// To screen readers; the text itself is there to be read when it is complete.
function announce(text) {
  find("#status").textContent = text;
}

function showLanguage() {
  translate(document);
  drawModels();
  const example = (text) =>
    make("button", { type: "button", className: "example", onclick: () => ask(text) }, text);
  find("#examples").replaceChildren(...t("examples").map(example));
  for (const view of views) view.update();
}

// ---- hands ----

function fitQuestion() {
  question.style.height = "auto";
  const borders = question.offsetHeight - question.clientHeight;
  question.style.height = `${question.scrollHeight + borders}px`;
}

function send() {
  if (!ask(question.value)) return; // the draft stays
  question.value = "";
  fitQuestion();
}

// On a touch screen Enter begins a line: there is a button to send.
const isTouch = matchMedia("(pointer: coarse)");

question.addEventListener("input", fitQuestion);
question.addEventListener("keydown", (event) => {
  // Enter also ends the composition of a Chinese word.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || isTouch.matches) return;
  event.preventDefault();
  send();
});
find("#composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.isComposing && !find("#settings").open) stop();
});
find("#stop").addEventListener("click", () => {
  stop();
  question.focus();
});
find("#clear").addEventListener("click", clear);
find("#open-settings").addEventListener("click", () => openSettings());
find("#language").addEventListener("click", () => {
  switchLanguage();
  showLanguage();
});

startSettings();
showLanguage();
loadModels();
