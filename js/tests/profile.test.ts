import { describe, expect, it } from "vitest";
import { endsOf, placesOf, ticks } from "../src/draw/scatter.js";
import { headAt, placeOf, readProfile } from "../src/profile/data.js";
import { ProfileState } from "../src/profile/state.js";
import { profileValues, said } from "../src/profile/values.js";

/** Two layers of two and one heads, two statistics, one role. */
function pack(over: Record<string, unknown> = {}, cut = 0): Uint8Array {
  const f32 = (...numbers: number[]) => new Uint8Array(Float32Array.from(numbers).buffer);
  const i32 = (...numbers: number[]) => new Uint8Array(Int32Array.from(numbers).buffer);
  const none = Number.NaN;
  const tensors: Record<string, [string, number[], Uint8Array]> = {
    mean: ["F32", [2, 2, 2, 2], f32(0.1, 0.5, 0.9, none, 1, 2, 3, none, 0.2, 0.4, 0.8, none, 1, 2, 4, none)],
    spread: ["F32", [2, 2, 2, 2], f32(...Array(8).fill(0.1), ...Array(8).fill(0.3))],
    chance: ["F32", [2, 2, 2], f32(0.1, 0.2, 1, 1, 0.15, 0.25, 1, 1)],
    counted: ["I32", [2, 2, 2], i32(10, 10, 10, 0, 10, 10, 10, 0)],
    fires: ["U8", [1, 2, 2], Uint8Array.of(0, 1, 1, 0)],
    role: ["U8", [2, 2], Uint8Array.of(255, 0, 0, 255)],
    numbers: ["I32", [1, 2, 2, 2], i32(4, 5, 6, -1, 7, 8, -1, -1)],
    values: ["F32", [1, 2, 2, 2], f32(0.9, 0.8, 0.7, 0, 0.6, 0.5, 0, 0)],
  };
  const page = {
    version: 1,
    model: "m",
    kind: "self",
    layers: [3, 7],
    heads: [2, 1],
    statistics: [
      { name: "sink_share", says: "weight on the first token", tokens: false },
      { name: "mean_distance", says: "tokens between", tokens: true },
    ],
    by: ["rows", "texts"],
    roles: ["sink"],
    texts: 10,
    tokens: 99,
    cut: 0,
    skipped: 1,
    content: false,
    kept: 2,
    listed: ["sink_share"],
    snippets: { "4": "<b>four</b>" },
    state: {},
    ...over,
  };
  const header: Record<string, unknown> = { __metadata__: { profile: JSON.stringify(page) } };
  let at = 0;
  for (const [name, [dtype, shape, bytes]] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [at, at + bytes.length] };
    at += bytes.length;
  }
  const described = new TextEncoder().encode(JSON.stringify(header));
  const file = new Uint8Array(8 + described.length + at);
  new DataView(file.buffer).setBigUint64(0, BigInt(described.length), true);
  file.set(described, 8);
  let to = 8 + described.length;
  for (const [, , bytes] of Object.values(tensors)) {
    file.set(bytes, to);
    to += bytes.length;
  }
  return file.subarray(0, file.length - cut);
}

const made = (initial: Record<string, unknown> = {}) => new ProfileState(readProfile(pack()), initial);

describe("a profile's data", () => {
  it("gives numbers, chance, roles and texts by head", () => {
    const profile = readProfile(pack());
    expect(placeOf(profile, [7, 0])).toBe(2);
    expect(headAt(profile, 2)).toEqual([7, 0]);
    expect(headAt(profile, 3)).toBeNull();
    expect(profile.numbers("mean", "texts", "mean_distance")[2]).toBe(4);
    expect(profile.chance("rows", "sink_share")[1]).toBeCloseTo(0.2);
    expect([0, 1, 2].map((at) => profile.role(at))).toEqual([null, "sink", "sink"]);
    expect(profile.strongest("sink_share", 1)?.map(({ text }) => text)).toEqual([6]);
    expect(profile.strongest("mean_distance", 1)).toBeNull();
    expect(profile.snippet(4)).toBe("<b>four</b>");
    expect(profile.snippet(5)).toBeUndefined();
  });

  it.each([
    ["cut off", () => pack({}, 3)],
    ["of another version", () => pack({ version: 2 })],
    ["without heads", () => pack({ layers: [], heads: [] })],
    ["that does not fit", () => pack({ heads: [5, 5] })],
    ["without statistics", () => pack({ statistics: [] })],
  ])("refuses data %s", (_, bytes) => {
    expect(() => readProfile(bytes())).toThrow(/damaged|data/);
  });
});

describe("what is asked for", () => {
  it("lets heads through by statistic, layer and role", () => {
    const shown = (initial: Record<string, unknown>) => made(initial).places.value;
    expect(shown({})).toEqual([0, 1, 2]);
    expect(shown({ ranges: { sink_share: [0.3, null] } })).toEqual([1, 2]);
    expect(shown({ ranges: { sink_share: [null, 0.5] } })).toEqual([0, 1]);
    expect(shown({ ranges: { sink_share: [0.45, null] }, by: "texts" })).toEqual([2]);
    expect(shown({ layer_range: [7, 9] })).toEqual([2]);
    expect(shown({ role: "sink", layer_range: [0, 3] })).toEqual([1]);
  });

  it("ignores what does not fit", () => {
    const state = made({ color_by: "nonsense", ranges: { nonsense: [0, 1] }, role: "nonsense", by: 7 });
    expect(state.chosen.color_by.value).toBe("sink_share");
    expect(state.places.value).toEqual([0, 1, 2]);
    state.receive("ranges", { sink_share: [0, "x"] });
    state.receive("nonsense", 3);
    expect(state.chosen.ranges.value).toEqual({});
  });

  it("tells Python what changed, and only that", () => {
    const told: unknown[] = [];
    const state = new ProfileState(readProfile(pack()), {}, (patch) => told.push(patch));
    state.set({ color_by: "role" });
    state.set({ heads: [[7, 0]] });
    state.receive("heads", [[3, 1]]);
    expect(told).toEqual([{ color_by: "role" }, { heads: [[7, 0]] }]);
    expect(state.head.value).toEqual([3, 1]);
    expect(state.listed.value).toBe("sink_share");
  });

  it("gives a head's numbers beside their chance and error", () => {
    const state = made({ by: "texts" });
    const found = said(state, "sink_share", [7, 0]);
    expect(found.value).toBeCloseTo(0.8);
    expect(found.chance).toBeCloseTo(0.25);
    expect(found.error).toBeCloseTo(0.3 / 3);
    expect(said(made(), "sink_share", [7, 0]).error).toBeNaN();
  });

  it("colours heads by numbers or by role", () => {
    const state = made();
    const values = profileValues(state);
    expect(values.valueAt(1, 0)).toBeCloseTo(0.9);
    expect(values.strengthAt(0, 0)).toBeCloseTo(0);
    state.set({ color_by: "role" });
    expect(values.domain).toBeUndefined();
    expect(values.roleAt(0, 0)).toBeNull();
    expect(values.roleAt(1, 0)).toMatchObject({ name: "sink", sign: "1" });
  });
});

describe("a scatter's axes", () => {
  it("has round ticks inside its ends", () => {
    expect(ticks({ least: -0.02, most: 0.97 }, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8]);
    expect(ticks({ least: 3, most: 47 }, 4)).toEqual([20, 40]);
    expect(ticks({ least: 0.00021, most: 0.00029 }, 4)).toEqual([0.00022, 0.00024, 0.00026, 0.00028]);
  });

  it("has ends also of one number or none", () => {
    const one = endsOf([2]);
    expect(one.least).toBeLessThan(2);
    expect(one.most).toBeGreaterThan(2);
    expect(endsOf([Number.NaN])).toEqual({ least: 0, most: 1 });
  });

  it("finds the numbers of a place again", () => {
    const plot = { width: 400, height: 300, x: { least: 0, most: 2 }, y: { least: -1, most: 1 } };
    const places = placesOf(plot);
    const [x, y] = places.at(places.across(1.25), places.up(-0.5));
    expect(x).toBeCloseTo(1.25);
    expect(y).toBeCloseTo(-0.5);
  });
});
