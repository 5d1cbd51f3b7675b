// Markdown as elements. Nothing is made from a string of HTML: each token becomes an
// element by name from a short list, and what a model wrote only ever becomes text, a
// checked link, or a formula.

import MarkdownIt from "./lib/markdown-it.js";
import { copyText } from "./clipboard.js";
import { make } from "./dom.js";
import { makeMarkdown, parseBlocks } from "./markdown.js";
import { renderMath } from "./math_view.js";
import { t } from "./texts.js";

const markdown = makeMarkdown(MarkdownIt);

const TAGS = new Set([
  "p",
  "h1",
  "h2",
  "h3",
  "h4",
  "h5",
  "h6",
  "ul",
  "ol",
  "li",
  "blockquote",
  "em",
  "strong",
  "s",
  "table",
  "thead",
  "tbody",
  "tr",
  "th",
  "td",
]);

// Shows a growing text in `element`: blocks that stay as they were are kept.
export class MarkdownView {
  #sources = [];

  constructor(element) {
    this.element = element;
  }

  update(text) {
    const blocks = parseBlocks(markdown, text);
    let same = 0;
    while (same < blocks.length && blocks[same].source === this.#sources[same]) ++same;
    while (this.element.children.length > same) this.element.lastElementChild.remove();
    for (const { tokens } of blocks.slice(same)) this.element.append(renderBlock(tokens));
    this.#sources = blocks.map(({ source }) => source);
  }
}

// One element, also for a block of which nothing can be seen.
function renderBlock(tokens) {
  const holder = make("div");
  render(tokens, holder);
  return holder.childNodes.length === 1 && holder.firstElementChild
    ? holder.firstElementChild
    : holder;
}

function render(tokens, root) {
  const open = [root];
  for (const token of tokens) {
    const parent = open.at(-1);
    if (token.type === "inline") {
      render(token.children, parent);
    } else if (token.hidden) {
      continue; // the paragraphs of a tight list
    } else if (token.nesting > 0) {
      const element = openElement(token);
      parent.append(element);
      open.push(element);
    } else if (token.nesting < 0) {
      open.pop();
    } else {
      parent.append(leaf(token));
    }
  }
}

function openElement(token) {
  if (token.tag === "a") return link(token.attrGet("href"));
  if (!TAGS.has(token.tag)) return make("span");
  const element = make(token.tag);
  const start = token.tag === "ol" && token.attrGet("start");
  if (start) element.start = Number(start);
  const align = /^text-align:(left|center|right)$/.exec(token.attrGet("style") ?? "");
  if (align) element.classList.add(align[1]);
  return element;
}

function leaf(token) {
  switch (token.type) {
    case "softbreak":
      return "\n";
    case "hardbreak":
      return make("br");
    case "hr":
      return make("hr");
    case "code_inline":
      return make("code", {}, token.content);
    case "fence":
    case "code_block":
      return codeBlock(token);
    case "math":
      return token.meta.isDisplay ? displayed(token.content) : renderMath(token.content, false);
    case "math_block":
      return displayed(token.content);
    case "image": {
      // Named, not fetched: no answer makes this page ask another host.
      const element = link(token.attrGet("src"));
      element.textContent = token.content || token.attrGet("src");
      return element;
    }
    default:
      return token.content;
  }
}

// Only what a person can follow without harm; anything else is mere text.
function link(address) {
  const isSafe = /^(https?:\/\/|mailto:)/i.test(address ?? "");
  if (!isSafe) return make("span");
  return make("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow" });
}

const displayed = (tex) => make("div", { className: "math", tabIndex: 0 }, renderMath(tex, true));

function codeBlock(token) {
  const code = token.content.replace(/\n$/, "");
  const language = token.info?.trim().split(/\s+/)[0] ?? "";
  const button = make(
    "button",
    {
      type: "button",
      className: "quiet",
      "data-text": "copy",
      onclick: async () => {
        button.textContent = (await copyText(code)) ? t("copied") : t("copyFailed");
        setTimeout(() => (button.textContent = t("copy")), 1500);
      },
    },
    t("copy"),
  );
  return make(
    "figure",
    { className: "code" },
    make("figcaption", {}, make("span", {}, language), button),
    make("pre", { tabIndex: 0 }, make("code", {}, code)),
  );
}
