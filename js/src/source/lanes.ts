import type { DataRequest, ProfileRequest } from "../protocol.js";

/** What waits for each other: a few rows; a whole head, or a few numbers of every head; every weight of every head. */
export type Lane = "near" | "wide" | "heads";

/** Most questions of a lane on their way at once; the newest of those that wait goes next. */
export const LANES: ReadonlyMap<Lane, number> = new Map([
  ["near", 2],
  ["wide", 1],
  ["heads", 1],
]);

const WIDE = new Set(["overview", "overviews", "pair", "flow", "evolution", "ablate", "figure", "open"]);
const HEADS = new Set(["statistic", "likeness", "roles", "findings", "links"]);
/** Rows of weights that are still few; a column of a long text needs all of them. */
const MOST_ROWS = 1024;

/** The same rule as the kernel's, `wire/lanes.py`. */
export function laneOf(request: DataRequest | ProfileRequest | { type: "hello" }): Lane {
  if (HEADS.has(request.type)) return "heads";
  const isTall = request.type === "weights" && request.queries[1] - request.queries[0] > MOST_ROWS;
  return WIDE.has(request.type) || isTall ? "wide" : "near";
}
