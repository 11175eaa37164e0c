import type { Head, KindInfo } from "./protocol.js";

/** What a head was called by whoever handed it in. */
function given({ names, layers }: KindInfo, [layer, head]: Head): string | undefined {
  return names?.[layers.indexOf(layer)]?.[head];
}

/** A head in a heading. */
export function headName(kind: KindInfo, head: Head): string {
  return given(kind, head) ?? `Layer ${head[0]} · Head ${head[1]}`;
}

/** A head where there is little room. */
export function shortHeadName(kind: KindInfo, head: Head): string {
  return given(kind, head) ?? `L${head[0]} H${head[1]}`;
}

/** A head in a sentence. */
export function spokenHeadName(kind: KindInfo, head: Head): string {
  return given(kind, head) ?? `Layer ${head[0]}, head ${head[1]}`;
}
