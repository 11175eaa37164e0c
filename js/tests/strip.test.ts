import { describe, expect, it } from "vitest";
import { readStrips } from "../src/strip/data.js";
import { StripState } from "../src/strip/state.js";
import { bits, percent, rankOf } from "../src/strip/words.js";

const TEXT = {
  model: "small",
  summary: "3 tokens",
  tokens: ["a", " b", "\n"],
  special: [],
  gaps: [0, 0, 0],
  logprobs: [null, -Math.LN2, "-inf"],
  ranks: [0, 2, 0],
  entropies: [null, 1.5, 0],
  exact: false,
  names: [" b", "c"],
  alternatives: [[], [1, -0.5, 0, -Math.LN2], [0, -0.1, 1, "-inf"]],
};

const bytes = (...texts: unknown[]) =>
  new TextEncoder().encode(JSON.stringify({ version: 1, state: {}, texts }));

describe("reading", () => {
  it("gives numbers, names and an order by surprise", () => {
    const { strips, most } = readStrips(bytes(TEXT));
    const [strip] = strips;
    expect(strip?.surprisal).toEqual([Number.NaN, 1, Number.POSITIVE_INFINITY]);
    expect(strip?.order).toEqual([2, 1]);
    expect(strip?.alternatives[1]).toEqual([
      { token: "c", logprob: -0.5 },
      { token: " b", logprob: -Math.LN2 },
    ]);
    expect(strip?.flow.map(({ text }) => text)).toEqual(["a", "·b", "⏎"]);
    expect(most).toBe(1);
  });

  it.each([
    ["tokens", []],
    ["tokens", [1, 2, 3]],
    ["tokens", ["a"]],
    ["special", [-1]],
    ["gaps", null],
    ["gaps", [0]],
    ["logprobs", ["x", null, null]],
    ["logprobs", [1]],
    ["ranks", "no"],
    ["entropies", [true, 1, 2]],
    ["names", null],
    ["alternatives", [[], [1], []]],
    ["alternatives", [[], [7, -1], []]],
    ["alternatives", [[], [0, {}], []]],
    ["model", 3],
    ["summary", undefined],
  ])("refuses damaged %s: %j", (name, value) => {
    expect(() => readStrips(bytes({ ...TEXT, [name as string]: value }))).toThrow(
      "The log-probabilities are damaged",
    );
  });

  it.each(["", "null", "[]", '{"version":1,"texts":[]}', '{"version":2,"texts":[{}]}'])(
    "refuses %j",
    (text) => {
      expect(() => readStrips(new TextEncoder().encode(text))).toThrow("The log-probabilities are damaged");
    },
  );
});

it("keeps a space that no token carries between the boxes", () => {
  const [strip] = readStrips(bytes({ ...TEXT, tokens: ["a", "b", " c"], gaps: [0, 1, 1] })).strips;
  expect(strip?.flow.map(({ lead, text }) => [lead, text])).toEqual([
    ["", "a"],
    [" ", "b"],
    [" ", "·c"],
  ]);
});

describe("state", () => {
  it("takes what fits and publishes what the page chooses", () => {
    const told: unknown[] = [];
    const state = new StripState(readStrips(bytes(TEXT, TEXT)), { choice: 1, token: 2 }, (patch) =>
      told.push(patch),
    );
    expect([state.chosen.choice.value, state.subject.value]).toEqual([1, 2]);
    for (const wrong of [7, -1, 1.5, "1", {}]) {
      state.receive("choice", wrong);
      state.receive("token", wrong);
    }
    expect([state.chosen.choice.value, state.subject.value]).toEqual([1, null]);
    state.pin(1);
    state.hovered.value = 0;
    expect(state.subject.value).toBe(0);
    state.show(0);
    expect(told).toEqual([{ token: 1 }, { token: null, choice: 0 }]);
    expect(state.subject.value).toBe(null);
  });
});

describe("words", () => {
  const [strip] = readStrips(bytes(TEXT)).strips;
  it("says the rank where it is known", () => {
    if (!strip) throw new Error("no strip");
    expect([0, 1, 2].map((at) => rankOf(strip, at))).toEqual(["not known", "2", "beyond the 2 listed"]);
    const other = { ...strip, ranks: [0, 0, 0] };
    expect(rankOf(other, 1)).toBe("not known");
  });
  it("says numbers as Python's pictures do", () => {
    expect([bits(1.5), bits(Number.NaN), bits(Number.POSITIVE_INFINITY)]).toEqual([
      "1.50 bits",
      "nothing before it",
      "probability 0 or not told",
    ]);
    expect([0.5, 0.0821, 0.00001, 0, 1].map(percent)).toEqual([
      "50.0 %",
      "8.21 %",
      "1.0e-3 %",
      "–",
      "100.0 %",
    ]);
  });
});
