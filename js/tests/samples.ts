import type { CaptureInfo, KindInfo } from "../src/protocol.js";

export function kindInfo(over: Partial<KindInfo> = {}): KindInfo {
  const text = ["[CLS]", "un", "##able", " it", "[SEP]"];
  return {
    kind: "self",
    label: "self-attention",
    layers: [0, 2],
    heads: [2, 4],
    queries: { text, special: [0, 4], words: [-1, 0, 0, 1, -1], segments: null },
    keys: null,
    causal: false,
    measures: ["weights", "scores"],
    statistics: ["entropy"],
    notes: { row_sums: [1, 1], dtype: "float32", check: null, masked: 0, error: 0, blind: 0, unchecked: [] },
    ...over,
  };
}

export const captureInfo = (...kinds: KindInfo[]): CaptureInfo => ({
  version: 1,
  model: "tiny",
  kinds: kinds.length > 0 ? kinds : [kindInfo()],
  runs: false,
});

/** Numbers that look random and are the same every time. */
export function noise(count: number, seed = 1): Float32Array {
  let state = seed * 2654435761;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32) * 4 - 2;
  });
}
