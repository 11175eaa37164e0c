import { clamp } from "../basics.js";
import type { Head } from "../protocol.js";
import { type State, sameHead } from "../state.js";

export function selectHead(state: State, head: Head, add: boolean): void {
  const heads = state.now.heads.peek();
  if (!add) {
    state.set({ heads: [head] });
    return;
  }
  const others = heads.filter((other) => !sameHead(other, head));
  if (others.length === heads.length) state.set({ heads: [...heads, head] });
  else if (others.length > 0) state.set({ heads: others });
}

/** Steps through the layers that have attention. */
export function moveLayer(state: State, by: number): void {
  const { layers } = state.now.kind.value;
  const at = layers.indexOf(state.now.layer.value) + by;
  const layer = layers[clamp(at, 0, layers.length - 1)];
  if (layer === undefined || layer === state.now.layer.value) return;
  const { heads } = state.now;
  const only = heads.value.length === 1 && heads.value[0];
  const most = (state.now.kind.value.heads[layers.indexOf(layer)] ?? 1) - 1;
  state.set(only ? { heads: [[layer, Math.min(only[1], most)]] } : { layer });
}

/** Steps the head selected last through its layer. */
export function moveHead(state: State, by: number): void {
  const heads = state.now.heads.value;
  const last = heads[heads.length - 1];
  if (!last) return;
  const { layers, heads: counts } = state.now.kind.value;
  const count = counts[layers.indexOf(last[0])] ?? 0;
  const head: Head = [last[0], clamp(last[1] + by, 0, count - 1)];
  if (!heads.some((other) => sameHead(other, head))) state.set({ heads: [...heads.slice(0, -1), head] });
}
