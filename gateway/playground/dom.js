// make("button", {className: "quiet", onclick: f}, "Stop", icon)
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) {
      element[name] = value;
    } else {
      element.setAttribute(name, value);
    }
  }
  element.append(...children);
  return element;
}

export const find = (selector) => document.querySelector(selector);

// Calls `draw` before the next frame, once however often it is asked. The last call
// counts: there is no frame while nobody looks, and one when somebody does again.
export function perFrame(draw) {
  let isDue = false;
  return () => {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      draw();
    });
  };
}
