// What a person sets: how answers are drawn, and the API key. Kept until the tab is
// closed. What is left empty is not sent, so that the model's own default holds.

import { find } from "./dom.js";
import { forTab } from "./store.js";

const KEY = "weft.settings";

const form = find("#settings form");
const dialog = find("#settings");

// {systemPrompt, apiKey, sampling: {temperature, top_p, max_tokens, seed}}
export function readSettings() {
  const sampling = {};
  for (const name of ["temperature", "top_p", "max_tokens", "seed"]) {
    const { value, valueAsNumber } = form.elements[name];
    if (value !== "" && Number.isFinite(valueAsNumber)) sampling[name] = valueAsNumber;
  }
  return {
    systemPrompt: form.elements.system.value.trim(),
    apiKey: form.elements.api_key.value.trim(),
    sampling,
  };
}

// Opens the dialog; with a `field`'s name at that field. `onClose` is called once.
export function openSettings({ field = "system", onClose } = {}) {
  if (dialog.open) return;
  if (onClose) dialog.addEventListener("close", onClose, { once: true });
  dialog.showModal();
  form.elements[field].focus();
}

function keep() {
  const values = Object.fromEntries(
    [...form.elements].filter((e) => e.name).map((e) => [e.name, e.value]),
  );
  forTab.set(KEY, JSON.stringify(values));
}

function restore() {
  const values = JSON.parse(forTab.get(KEY) ?? "{}");
  for (const [name, value] of Object.entries(values)) {
    if (form.elements[name]) form.elements[name].value = value;
  }
}

export function startSettings() {
  restore();
  form.addEventListener("input", keep);
  form.addEventListener("reset", () => queueMicrotask(keep));
  form.addEventListener("submit", (event) => {
    event.preventDefault(); // nothing is sent: the policy allows no form to be
    dialog.close();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog && form.reportValidity()) dialog.close(); // beside it
  });
}
