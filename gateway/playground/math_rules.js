// Mathematics inside Markdown, as models write it:
//
//   $x$   \(x\)               within a line
//   $$x$$   \[x\]             displayed, within a paragraph or on lines of its own
//   \boxed{x}                 without any of these, too
//
// What stands between them is TeX and not Markdown. While it is still being written,
// an opening without its end is ordinary text. Adds tokens `math` (in inline text) and
// `math_block`, with the TeX as content; `token.meta.isDisplay` says how it is set.

export function mathRules(md) {
  md.inline.ruler.before("escape", "math", inlineMath);
  md.block.ruler.before("fence", "math_block", blockMath, {
    alt: ["paragraph", "reference", "blockquote", "list"],
  });
}

const DELIMITERS = [
  { open: "$$", close: "$$", isDisplay: true },
  { open: "\\[", close: "\\]", isDisplay: true },
  { open: "\\(", close: "\\)", isDisplay: false },
  { open: "$", close: "$", isDisplay: false },
];

// A text that repeats an opening without its end must not be searched to its end each
// time. Of each block or line of text: from where on an end is known to be missing.
const missingEnds = new WeakMap();

function missingEndsOf(state) {
  if (!missingEnds.has(state)) missingEnds.set(state, new Map());
  return missingEnds.get(state);
}

const MAX_BOXED = 2000; // characters: what a group holds cannot be remembered so

// The formula that starts at `at`: {tex, end, isDisplay}, or null. `missing` maps an end
// to where none is to be found any more.
export function formulaAt(text, at, missing = new Map()) {
  if (text.startsWith("\\boxed{", at)) {
    const end = endOfGroup(text, at + "\\boxed".length);
    return end < 0 ? null : { tex: text.slice(at, end), end, isDisplay: false };
  }
  const delimiter = DELIMITERS.find(({ open }) => text.startsWith(open, at));
  if (!delimiter) return null;
  const { open, close, isDisplay } = delimiter;
  const begin = at + open.length;
  if (begin >= (missing.get(close) ?? Infinity)) return null;
  const stop = findUnescaped(text, close, begin);
  if (stop < 0) missing.set(close, begin);
  if (stop < 0 || (open === "$" && !looksLikeMath(text, begin, stop))) return null;
  const tex = text.slice(begin, stop).trim();
  return tex === "" ? null : { tex, end: stop + close.length, isDisplay };
}

// "costs $5 to $10" is money: a formula's dollars touch it, and no digit follows.
function looksLikeMath(text, begin, stop) {
  return !/\s/.test(text[begin]) && !/\s/.test(text[stop - 1]) && !/\d/.test(text[stop + 1] ?? "");
}

// Where `wanted` stands behind `from`, not counting "\$" nor the "\\[" of "\\\\[".
function findUnescaped(text, wanted, from) {
  for (let at = from; at < text.length;) {
    if (text.startsWith(wanted, at)) return at;
    at += text[at] === "\\" ? 2 : 1;
  }
  return -1;
}

// Behind the "}" that closes the group which opens at `at`; -1 if none does.
function endOfGroup(text, at) {
  let depth = 0;
  const limit = Math.min(text.length, at + MAX_BOXED);
  for (; at < limit; ++at) {
    if (text[at] === "\\") ++at;
    else if (text[at] === "{") ++depth;
    else if (text[at] === "}" && --depth === 0) return at + 1;
  }
  return -1;
}

function inlineMath(state, silent) {
  const first = state.src[state.pos];
  if (first !== "$" && first !== "\\") return false;
  const formula = formulaAt(state.src, state.pos, missingEndsOf(state));
  if (!formula || formula.end > state.posMax) return false;
  if (!silent) {
    const token = state.push("math", "", 0);
    token.content = formula.tex;
    token.meta = { isDisplay: formula.isDisplay };
  }
  state.pos = formula.end;
  return true;
}

// A formula that begins a line and ends one. Blank lines and list markers inside are
// part of it, which the paragraph's own rule would not allow.
function blockMath(state, startLine, endLine, silent) {
  const begin = state.bMarks[startLine] + state.tShift[startLine];
  if (state.sCount[startLine] - state.blkIndent >= 4) return false; // code
  const isDollars = state.src.startsWith("$$", begin);
  if (!isDollars && !state.src.startsWith("\\[", begin)) return false;

  const close = isDollars ? "$$" : "\\]";
  const missing = missingEndsOf(state);
  const key = `${close} before line ${endLine}`;
  if (startLine >= (missing.get(key) ?? Infinity)) return false;

  let text = state.src.slice(begin, state.eMarks[startLine]);
  let searched = 2;
  for (let line = startLine; ;) {
    const stop = findUnescaped(text, close, searched);
    if (stop >= 0) {
      if (text.slice(stop + 2).trim() !== "") return false; // the inline rule's
      const tex = text.slice(2, stop).trim();
      if (tex === "") return false;
      if (silent) return true;
      const token = state.push("math_block", "", 0);
      token.content = tex;
      token.map = [startLine, line + 1];
      token.meta = { isDisplay: true };
      state.line = line + 1;
      return true;
    }
    ++line;
    if (line >= endLine) missing.set(key, startLine);
    // A line of less indent belongs to what is around a list item or quote.
    if (line >= endLine || (state.sCount[line] < state.blkIndent && !state.isEmpty(line)))
      return false;
    searched = text.length;
    text += "\n" + state.getLines(line, line + 1, state.blkIndent, false);
  }
}
