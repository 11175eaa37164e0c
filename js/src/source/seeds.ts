import { float32 } from "../decode.js";
import { isObject, isRequest } from "../protocol-check.js";
import type { Seed } from "../source.js";

/** Answers that came with the page, as `{request, reply}` with the numbers in `reply.data`. */
export function readSeeds(first: unknown, bytes: (data: unknown) => unknown = (data) => data): Seed[] {
  if (!Array.isArray(first)) return [];
  const seeds: Seed[] = [];
  for (const entry of first) {
    if (!isObject(entry) || !isRequest(entry.request) || !isObject(entry.reply)) continue;
    const { id: _, ...request } = entry.request as Seed["request"] & { id?: string };
    try {
      const shape = entry.reply.shape as number[];
      const data = float32(bytes(entry.reply.data));
      if (shape.reduce((product, length) => product * length, 1) !== data.length) continue;
      const { info } = entry.reply;
      seeds.push({ request, reply: { shape, data, ...(isObject(info) && { info }) } });
    } catch {
      // What is not here is asked for.
    }
  }
  return seeds;
}
