import type { Ingredients } from "../attention/steps.js";
import { el } from "../dom.js";
import type { Reply } from "../protocol.js";
import { pieces } from "../text.js";

/** Reads the answer to “steps”. */
export function ingredients({ data, info = {} }: Reply): Ingredients {
  const keys = data.length / 3;
  const known = info.missing === undefined;
  return {
    dots: known ? data.subarray(0, keys) : null,
    bias: known && info.biased === true ? data.subarray(keys, 2 * keys) : null,
    weights: data.subarray(2 * keys),
    scale: typeof info.scale === "number" ? info.scale : 1,
    softcap: typeof info.softcap === "number" ? info.softcap : null,
    sink: typeof info.sink === "number" ? info.sink : null,
  };
}

/** 1/√d where that is what the scale is. */
export function scaleName(scale: number, width: number): string {
  return Math.abs(scale * Math.sqrt(width) - 1) < 1e-6 ? `1/√${width}` : scale.toPrecision(3);
}

export function percent(share: number): string {
  const hundred = 100 * Math.max(0, share);
  return `${hundred.toFixed(hundred >= 10 || hundred === 0 ? 0 : 1)} %`;
}

export function tokenName(text: string): HTMLElement {
  const node = el("b", {}, el("bdi"));
  for (const piece of pieces(text.trim() || text)) {
    node.firstChild?.appendChild(piece.sign ? el("i", {}, piece.text) : document.createTextNode(piece.text));
  }
  return node;
}
