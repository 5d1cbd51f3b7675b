import assert from "node:assert/strict";
import { createRequire } from "node:module";
import test from "node:test";
import { pathToFileURL } from "node:url";

import { makeMarkdown, parseBlocks } from "./markdown.js";
import { formulaAt } from "./math_rules.js";

// The packages as the build installed them, the very file that the page loads.
const require = createRequire(`${process.env.WEFT_NODE_MODULES}/`);
const library = require.resolve("markdown-it/browser");
const { default: MarkdownIt } = await import(
  pathToFileURL(library.replace(/[^/]*$/, "markdown-it.esm.min.mjs"))
);
const markdown = makeMarkdown(MarkdownIt);

// "text [inline] {{displayed}}"
function read(text) {
  const show = (token) => {
    if (token.type === "inline") return token.children.map(show).join("");
    if (token.type === "math")
      return token.meta.isDisplay ? `{{${token.content}}}` : `[${token.content}]`;
    if (token.type === "math_block") return `{{${token.content}}}`;
    if (token.type === "softbreak") return " ";
    return token.content;
  };
  return markdown.parse(text, {}).map(show).join("").trim();
}

test("each pair of delimiters sets a formula", () => {
  assert.equal(read("a $x^2$ b"), "a [x^2] b");
  assert.equal(read("a \\(x^2\\) b"), "a [x^2] b");
  assert.equal(read("a $$x^2$$ b"), "a {{x^2}} b");
  assert.equal(read("a \\[x^2\\] b"), "a {{x^2}} b");
  assert.equal(read("$$\nx^2\n$$"), "{{x^2}}");
  assert.equal(read("\\[\nx^2\n\\]"), "{{x^2}}");
});

test("a boxed answer needs no delimiters, and keeps its braces", () => {
  assert.equal(read("so \\boxed{42}."), "so [\\boxed{42}].");
  assert.equal(read("\\boxed{\\frac{1}{2}} apples"), "[\\boxed{\\frac{1}{2}}] apples");
  assert.equal(read("\\boxed{\\{1, 2\\}}"), "[\\boxed{\\{1, 2\\}}]");
  assert.equal(read("$\\boxed{42}$"), "[\\boxed{42}]");
});

test("Markdown means nothing inside a formula", () => {
  assert.equal(read("$a_1 * b_2 * c_3$ and *this*"), "[a_1 * b_2 * c_3] and this");
  assert.equal(read("\\(a \\\\ b\\)"), "[a \\\\ b]");
  assert.equal(read("$$\n- 1\n\n+ 2\n= 3\n$$"), "{{- 1\n\n+ 2\n= 3}}");
});

test("money is no formula", () => {
  assert.equal(read("costs $5 to $10"), "costs $5 to $10");
  assert.equal(read("$ 5 $"), "$ 5 $");
  assert.equal(read("from $3 and $4,50"), "from $3 and $4,50");
  assert.equal(read("\\$5 and $x$"), "$5 and [x]");
  assert.equal(read("$x = \\$5$"), "[x = \\$5]");
});

test("code is no formula", () => {
  assert.equal(read("`$x$`"), "$x$");
  assert.equal(read("```\n$$\nx\n$$\n```"), "$$\nx\n$$");
  assert.equal(read("    $$\n    x\n    $$"), "$$\nx\n$$");
});

test("what has no end yet is text", () => {
  assert.equal(read("a $x"), "a $x");
  assert.equal(read("so \\boxed{4"), "so \\boxed{4");
  assert.equal(read("\\[\nx"), "[ x");
  assert.equal(read("$$\nx"), "$$ x");
  assert.equal(read("$$"), "$$");
  assert.equal(read("$$ $$"), "$$ $$");
});

test("a displayed formula may stand in a list or a quote, and ends where they end", () => {
  assert.equal(read("1. so\n   $$\n   x\n   $$\n2. b"), "so{{x}}b");
  assert.equal(read("- a\n  \\[\n  x\n  \\]"), "a{{x}}");
  assert.equal(read("> \\[\n> x\n> \\]\n\nb"), "{{x}}b");
  assert.equal(read("- $$\n  x\n\nb $$"), "$$ xb $$");
});

test("a paragraph goes on behind a displayed formula", () => {
  assert.equal(read("we have\n\\[\nx\n\\]\nthus"), "we have{{x}}thus");
  assert.equal(read("\\[x\\] thus"), "{{x}} thus");
});

test("a formula is found where it starts and nowhere else", () => {
  assert.equal(formulaAt("a$x$", 0), null);
  assert.deepEqual(formulaAt("a$x$", 1), { tex: "x", end: 4, isDisplay: false });
});

test("openings without an end take no time that grows with their square", () => {
  for (const opening of [
    "\\( ",
    "\\[ ",
    "$$ ",
    "$x ",
    "\\boxed{",
    "\\[\n",
    "$$\nx\n",
    "\n\n\\[\n",
    "> \\[\n",
  ]) {
    // A search to the end from each opening takes ten seconds and more; what is right, less
    // than one.
    const began = process.cpuUsage();
    parseBlocks(markdown, opening.repeat(32_000));
    const { user } = process.cpuUsage(began);
    assert.ok(user < 6e6, `${JSON.stringify(opening)}: ${user / 1e6} s`);
  }
});

test("HTML stays text", () => {
  const types = (text) =>
    markdown
      .parse(text, {})
      .flatMap((token) => [token, ...(token.children ?? [])])
      .map((token) => token.type);
  for (const text of [
    "<script>alert(1)</script>",
    "a <img src=x onerror=alert(1)> b",
    "<div>\nx\n</div>",
  ]) {
    assert.ok(
      types(text).every((type) => !type.startsWith("html")),
      text,
    );
  }
  assert.ok(!types("[a](javascript:alert(1))").includes("link_open"));
  assert.ok(!types("[a](data:text/html,x)").includes("link_open"));
});

test("blocks of a growing text stay equal but for the last", () => {
  const text =
    "# Title\n\nFirst *paragraph*.\n\n1. a\n2. b\n\n$$\nx\n$$\n\n```js\nf()\n```\n\nThe end.";
  const whole = parseBlocks(markdown, text).map(({ source }) => source);
  assert.equal(whole.length, 6);
  assert.equal(new Set(whole).size, 6);
  for (let cut = 0; cut <= text.length; ++cut) {
    const part = parseBlocks(markdown, text.slice(0, cut)).map(({ source }) => source);
    // Two may still change: a list or paragraph, and what would end it.
    assert.deepEqual(
      part.slice(0, -2),
      whole.slice(0, Math.max(0, part.length - 2)),
      `cut at ${cut}`,
    );
  }
});

test("a reference that is defined later draws its blocks anew", () => {
  const before = parseBlocks(markdown, "See [a].\n\n");
  const after = parseBlocks(markdown, "See [a].\n\n[a]: https://example.com");
  assert.notEqual(before[0].source, after[0].source);
});
