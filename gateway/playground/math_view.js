// TeX as elements, by KaTeX (katex.js, which the page loads before any module).

// For text that nobody has checked: bounds on what a formula may cost, no links or
// images from it, and no word in the console about its style.
const OPTIONS = { throwOnError: true, trust: false, strict: "ignore", maxExpand: 500, maxSize: 20 };

// TeX that KaTeX cannot read is shown as it is.
export function renderMath(tex, isDisplay) {
  try {
    const tree = katex.__renderToDomTree(tex, { ...OPTIONS, displayMode: isDisplay });
    return withoutStyleAttributes(tree);
  } catch (error) {
    const code = document.createElement("code");
    code.className = "math-error";
    code.title = error.message;
    code.textContent = tex;
    return code;
  }
}

// KaTeX sets styles through the DOM, which the content security policy allows, but for
// a few elements through an attribute, which it does not. Those go under another name
// from its tree to the elements, and from there the allowed way.
function withoutStyleAttributes(tree) {
  renameStyles(tree);
  const element = tree.toNode();
  for (const styled of element.querySelectorAll("[data-style]")) {
    styled.style.cssText = styled.getAttribute("data-style");
    styled.removeAttribute("data-style");
  }
  return element;
}

function renameStyles(node) {
  if (node.attributes?.style) {
    node.attributes["data-style"] = node.attributes.style;
    delete node.attributes.style;
  }
  node.children?.forEach(renameStyles);
}
