import type { Axis, Unit } from "../attention/axis.js";
import type { Run } from "../protocol.js";

/** One place of the two texts together: a unit of both, or of one. */
export interface Slot {
  a: number | null;
  b: number | null;
}

/** Two texts as one: equal tokens in one place, insertions and deletions in places of their own. */
export interface Aligned {
  slots: Slot[];
  axis: Axis;
  /** The place of each unit of the first. */
  placeOfA: Map<number, number>;
  /** The unit of the second beside each unit of the first. */
  bOfA: Map<number, number>;
}

export function alignAxes(a: Axis, b: Axis, runs: readonly Run[]): Aligned {
  const slots: Slot[] = [];
  let [nextA, nextB] = [0, 0];
  const upTo = (endA: number, endB: number) => {
    while (nextA < endA) slots.push({ a: nextA++, b: null });
    while (nextB < endB) slots.push({ a: null, b: nextB++ });
  };
  for (const [fromA, fromB, length] of runs) {
    for (let at = 0; at < length; at++) {
      const [unitA, unitB] = [a.unitOf[fromA + at], b.unitOf[fromB + at]];
      // Words of several pieces are one unit, aligned by the first piece that is.
      if (unitA === undefined || unitB === undefined || unitA < nextA || unitB < nextB) continue;
      upTo(unitA, unitB);
      slots.push({ a: nextA++, b: nextB++ });
    }
  }
  upTo(a.units.length, b.units.length);
  const units = slots.map((slot, at): Unit => {
    const unit = (slot.a === null ? b.units[slot.b as number] : a.units[slot.a]) as Unit;
    return { text: unit.text, special: unit.special, from: at, to: at + 1 };
  });
  const inA = slots.flatMap(({ a: unit }, place): [number, number][] =>
    unit === null ? [] : [[unit, place]],
  );
  const inBoth = slots.flatMap((slot): [number, number][] =>
    slot.a === null || slot.b === null ? [] : [[slot.a, slot.b]],
  );
  return {
    slots,
    axis: { units, unitOf: Int32Array.from(slots.keys()), length: slots.length, wholeWords: false },
    placeOfA: new Map(inA),
    bOfA: new Map(inBoth),
  };
}

/** The units of one capture that a range of places holds. */
export function unitsIn(aligned: Aligned, side: "a" | "b", from: number, to: number): [number, number] {
  let [least, most] = [Number.POSITIVE_INFINITY, -1];
  for (let at = from; at < to; at++) {
    const unit = aligned.slots[at]?.[side] ?? null;
    if (unit === null) continue;
    least = Math.min(least, unit);
    most = Math.max(most, unit);
  }
  return most < 0 ? [0, 0] : [least, most + 1];
}
