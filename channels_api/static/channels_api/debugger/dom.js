// Elements without markup: what a row holds is text here, whatever it looks like.

// `props` are attributes; besides those: `text`, functions ("onclick") as listeners, `dataset`.
// Attributes that are false, null or undefined are left out, true is an empty one. Children are
// elements or text; null and false are left out.
export function element(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) set(made, name, value);
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

function set(made, name, value) {
  if (typeof value === "function") made.addEventListener(name.replace(/^on/, ""), value);
  else if (name === "text") made.textContent = value;
  else if (name === "dataset") Object.assign(made.dataset, value);
  else if (value === true) made.setAttribute(name, "");
  else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
}
