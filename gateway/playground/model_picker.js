// Which models are asked. One is only named; of several, any number may be.

import { find, make } from "./dom.js";
import { t } from "./texts.js";

// At first, so many side by side.
const MOST_AT_FIRST = 2;

const place = find("#models");
let models = [];
let chosen = new Set();

export function setModels(served) {
  models = served;
  const known = models.map(({ id }) => id);
  chosen = new Set([...chosen].filter((id) => known.includes(id)));
  if (chosen.size === 0) chosen = new Set(known.slice(0, MOST_AT_FIRST));
  drawModels();
}

// In the server's order; empty before setModels.
export const chosenModels = () => models.map(({ id }) => id).filter((id) => chosen.has(id));

export function drawModels() {
  place.replaceChildren(...models.map(models.length > 1 ? toggle : label));
}

const label = (model) => make("span", { className: "model", title: about(model) }, model.id);

function toggle(model) {
  const button = make(
    "button",
    {
      type: "button",
      className: "model",
      title: about(model),
      "aria-pressed": String(chosen.has(model.id)),
      onclick: () => {
        if (chosen.has(model.id) && chosen.size > 1) chosen.delete(model.id);
        else chosen.add(model.id);
        button.setAttribute("aria-pressed", String(chosen.has(model.id)));
      },
    },
    model.id,
  );
  return button;
}

function about({ aliases, maxModelLen }) {
  const facts = [];
  if (maxModelLen) facts.push(t("contextOf", { tokens: maxModelLen.toLocaleString("en") }));
  if (aliases.length > 0) facts.push(t("alsoCalled", { names: aliases.join(", ") }));
  return facts.join(" · ");
}
