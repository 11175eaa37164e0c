import { effect } from "@preact/signals-core";
import { atEnd, clamp } from "./basics.js";

type Attributes = Record<string, string | number | boolean | undefined>;

/** The one way elements are made: text stays text. */
export function el<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Name] {
  const node = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) setAttribute(node, attribute, value);
  node.append(...children);
  return node;
}

export function setAttribute(
  node: Element,
  name: string,
  value: string | number | boolean | undefined,
): void {
  if (value === undefined || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value))
    node.setAttribute(name, value === true ? "" : String(value));
}

/** A number counts pixels. */
export function setStyle(node: HTMLElement, name: string, value: string | number): void {
  node.style.setProperty(name, typeof value === "number" ? `${value}px` : value);
}

type On = <Name extends keyof HTMLElementEventMap>(
  name: Name,
  run: (event: HTMLElementEventMap[Name]) => void,
) => void;

/** Listens to an element as long as its owner lives. */
export const listenTo =
  (node: HTMLElement, signal: AbortSignal): On =>
  (name, run) =>
    node.addEventListener(name, run, { signal });

export function button(
  attributes: Attributes,
  run: () => void,
  ...children: (Node | string)[]
): HTMLButtonElement {
  const node = el("button", { type: "button", ...attributes }, ...children);
  node.addEventListener("click", run);
  return node;
}

/** What has the focus inside an element, in a shadow tree too. */
export function focusedIn(node: HTMLElement): HTMLElement | null {
  const active = (node.getRootNode() as Document | ShadowRoot).activeElement;
  return active instanceof HTMLElement && node.contains(active) ? active : null;
}

/** Scrolls a strip, and nothing else, until a part of it is seen. */
export function revealIn(strip: HTMLElement, part: HTMLElement): void {
  const from = part.offsetLeft - (part.offsetParent === strip ? 0 : strip.offsetLeft);
  const to = from + part.offsetWidth;
  const room = strip.clientWidth;
  strip.scrollLeft = clamp(strip.scrollLeft, to - room, Math.max(from, to - room));
}

/** The keys that belong to the browser and the host. */
export const isShortcut = (event: KeyboardEvent): boolean => event.ctrlKey || event.metaKey || event.altKey;

export function setText(node: Node, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

/** An effect that ends with its owner. */
export function watch(life: AbortSignal, run: () => void): void {
  if (life.aborted) return;
  const stop = effect(run);
  atEnd(life, stop);
}

/** Follows an element's size and says it in whole CSS pixels. */
export function onSize(
  node: Element,
  life: AbortSignal,
  tell: (width: number, height: number) => void,
): void {
  const observer = new ResizeObserver((entries) => {
    const box = entries[entries.length - 1]?.contentRect;
    if (box) tell(Math.floor(box.width), Math.floor(box.height));
  });
  observer.observe(node);
  atEnd(life, () => observer.disconnect());
}

/** Sizes a canvas for the screen's pixels and hands out a context that counts in CSS pixels. */
export function prepare(
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
): CanvasRenderingContext2D | null {
  const ratio = window.devicePixelRatio || 1;
  const wide = Math.max(1, Math.round(width * ratio));
  const tall = Math.max(1, Math.round(height * ratio));
  if (canvas.width !== wide) canvas.width = wide;
  if (canvas.height !== tall) canvas.height = tall;
  setStyle(canvas, "width", width);
  setStyle(canvas, "height", height);
  const context = canvas.getContext("2d");
  context?.setTransform(ratio, 0, 0, ratio, 0, 0);
  context?.clearRect(0, 0, width, height);
  return context;
}
