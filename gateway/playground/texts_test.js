import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

const source = (name) => readFileSync(new URL(name, import.meta.url), "utf8");

test("both languages say the same things, with the same blanks to fill", async () => {
  globalThis.navigator ??= { language: "en" };
  const { TEXTS } = await import("./texts.js");
  assert.deepEqual(Object.keys(TEXTS.zh), Object.keys(TEXTS.en));
  for (const [key, text] of Object.entries(TEXTS.en)) {
    const blanks = (words) =>
      [...String(words).matchAll(/\{\w+\}/g)].map(([blank]) => blank).sort();
    assert.deepEqual(blanks(TEXTS.zh[key]), blanks(text), key);
  }
});

test("every word that the page asks for is there, and none is left over", async () => {
  const { TEXTS } = await import("./texts.js");
  const page = source("index.html");
  const scripts = ["answer_view.js", "main.js", "markdown_view.js", "model_picker.js", "texts.js"]
    .map(source)
    .join("");
  const asked = new Set([
    ...[...page.matchAll(/data-(?:text|label|placeholder)="(\w+)"/g)].map((match) => match[1]),
    ...[...scripts.matchAll(/\bt\("(\w+)"/g)].map((match) => match[1]),
  ]);
  assert.deepEqual([...asked].sort(), Object.keys(TEXTS.en).sort());
});
