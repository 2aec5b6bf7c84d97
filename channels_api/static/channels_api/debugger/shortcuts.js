// Keys that mean something anywhere but where text is typed.

const TYPING = "input:not([type=checkbox]), textarea, select, [contenteditable]";

export function listenToKeys(keys) {
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && event.target.matches?.(TYPING)) event.target.blur();
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (!keys[event.key] || event.target.matches?.(TYPING) || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    keys[event.key]();
  });
}
