import { focusedIn, setAttribute } from "./dom.js";

/** What tells elements with listeners apart: one with another key is another, and is not made into this one. */
const KEY = "data-for";

const keyOf = (node: Node) => (node instanceof Element ? node.getAttribute(KEY) : null);

/**
 * Gives a node new children and keeps the elements it has: what is under the pointer, in focus or marked for copying
 * is changed in place, not exchanged for its like. Elements with a key keep their listeners wherever they move. Style
 * is set as a property: as an attribute, which is how morphdom does it, the policy of exported pages forbids it.
 */
export function renew(node: HTMLElement, children: readonly (Node | string)[]): void {
  const held = focusedIn(node);
  const wanted = children.map((child) =>
    typeof child === "string" ? document.createTextNode(child) : child,
  );
  const keys = new Set(wanted.map(keyOf));
  const keyed = new Map<string, Node>();
  for (const child of [...node.childNodes]) {
    const key = keyOf(child);
    if (!keys.has(key)) child.remove();
    else if (key !== null) keyed.set(key, child);
  }
  let at: ChildNode | null = node.firstChild;
  for (const fresh of wanted) {
    const key = keyOf(fresh);
    const known: Node | null = key === null ? at : (keyed.get(key) ?? null);
    if (known && alike(known, fresh)) {
      liken(known, fresh);
      if (known === at) at = at.nextSibling;
      else node.insertBefore(known, at);
    } else node.insertBefore(fresh, at);
  }
  while (at) {
    const next: ChildNode | null = at.nextSibling;
    at.remove();
    at = next;
  }
  // Moved elements lose the focus.
  if (held?.isConnected && focusedIn(node) !== held) held.focus({ preventScroll: true });
}

const alike = (one: Node, other: Node) => one.nodeName === other.nodeName && keyOf(one) === keyOf(other);

function liken(node: Node, like: Node): void {
  if (node === like) return;
  if (!(node instanceof HTMLElement && like instanceof HTMLElement)) {
    if (node.nodeValue !== like.nodeValue) node.nodeValue = like.nodeValue;
    return;
  }
  const style = like.style.cssText;
  if (node.style.cssText !== style) node.style.cssText = style;
  for (const { name } of [...node.attributes])
    if (name !== "style" && !like.hasAttribute(name)) node.removeAttribute(name);
  for (const { name, value } of like.attributes) if (name !== "style") setAttribute(node, name, value);
  renew(node, [...like.childNodes]);
}
