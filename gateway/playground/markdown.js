// Markdown to markdown-it's tokens, a top-level block at a time.

import { mathRules } from "./math_rules.js";

// `MarkdownIt` is the library's constructor. HTML in the text stays text.
export function makeMarkdown(MarkdownIt) {
  return new MarkdownIt("default", { html: false, linkify: false, breaks: false }).use(mathRules);
}

// The text's top-level blocks, [{source, tokens}]. Equal sources give equal tokens, so
// that a view may keep what it has drawn of a text that grows at its end.
export function parseBlocks(markdown, text) {
  const environment = {};
  const tokens = markdown.parse(text, environment);
  const lines = text.split(/\r\n|\n|\r/);
  // [1]: #a may be defined far below the block that uses it.
  const references = Object.entries(environment.references ?? {});
  const suffix = references.length > 0 ? JSON.stringify(references) : "";
  const blocks = [];
  let depth = 0;
  for (const token of tokens) {
    if (depth === 0) {
      const [begin, end] = token.map ?? [0, 0];
      blocks.push({
        source: token.type + "\n" + lines.slice(begin, end).join("\n") + suffix,
        tokens: [],
      });
    }
    blocks.at(-1).tokens.push(token);
    depth += token.nesting;
  }
  return blocks;
}
