import { describe, expect, it } from "vitest";
import { togglePin } from "../src/context.js";
import { moveHead, moveLayer, selectHead } from "../src/controls/selection.js";
import { couple, State, type Traits } from "../src/state.js";
import { captureInfo, kindInfo } from "./samples.js";

const kind = kindInfo();

describe("layer and heads follow each other", () => {
  it("a layer none of the heads is in takes them along, without repeats", () => {
    expect(
      couple(
        kind,
        [
          [2, 3],
          [2, 1],
        ],
        { layer: 0 },
      ),
    ).toEqual({ layer: 0, heads: [[0, 1]] });
  });

  it("a layer one of the heads is in leaves them", () => {
    expect(
      couple(
        kind,
        [
          [0, 1],
          [2, 1],
        ],
        { layer: 0 },
      ),
    ).toEqual({ layer: 0 });
  });

  it("heads set the layer of the last one", () => {
    expect(
      couple(kind, [], {
        heads: [
          [0, 1],
          [2, 1],
          [0, 1],
        ],
      }),
    ).toEqual({
      heads: [
        [0, 1],
        [2, 1],
      ],
      layer: 2,
    });
  });
});

function make(initial: Partial<Record<keyof Traits, unknown>> = {}) {
  const sent: Partial<Traits>[] = [];
  return {
    sent,
    state: new State(captureInfo(), { kind: "self", heads: [[2, 1]], layer: 2, ...initial }, (patch) =>
      sent.push(patch),
    ),
  };
}

describe("State", () => {
  it("publishes both traits of a change at once", () => {
    const { state, sent } = make();
    selectHead(state, [0, 1], false);
    expect(sent).toEqual([{ heads: [[0, 1]], layer: 0 }]);
  });

  it("does not publish what came from outside", () => {
    const { state, sent } = make();
    state.receive("query", 3);
    expect(state.now.query.value).toBe(3);
    expect(sent).toEqual([]);
  });

  it("ignores what does not fit", () => {
    const { state } = make();
    for (const value of ["3", -1, 1.5, {}, undefined]) state.receive("query", value);
    state.receive("heads", [[2]]);
    state.receive("theme", "pink");
    state.receive("threshold", Number.NaN);
    expect(state.synced.query.value).toBeNull();
    expect(state.synced.heads.value).toEqual([[2, 1]]);
    expect(state.synced.theme.value).toBe("auto");
  });

  it("holds out what is out of range", () => {
    const { state } = make({
      kind: "cross",
      layer: 9,
      heads: [
        [2, 4],
        [1, 0],
      ],
      query: 99,
      measure: "unknown",
      threshold: 7,
    });
    expect(state.now.kind.value.kind).toBe("self");
    expect(state.now.layer.value).toBe(0);
    expect(state.now.heads.value).toEqual([[0, 0]]);
    expect(state.now.query.value).toBeNull();
    expect(state.now.measure.value).toBe("weights");
    expect(state.now.threshold.value).toBe(1);
  });

  it("a pinned token is its word's when words are whole", () => {
    const { state } = make({ query: 2 });
    expect(state.now.query.value).toBe(2);
    state.set({ whole_words: true });
    expect(state.now.query.value).toBe(1);
  });

  it("a hover goes before a pin", () => {
    const { state } = make({ query: 2 });
    state.page.hoverQuery.value = 0;
    expect(state.now.activeQuery.value).toBe(0);
    state.page.hoverQuery.value = null;
    expect(state.now.activeQuery.value).toBe(2);
  });
});

describe("pins", () => {
  it("a click pins alone, a click on it releases", () => {
    const { state, sent } = make();
    togglePin(state, "query", 2);
    expect(sent).toEqual([{ query: 2, more_queries: [] }]);
    togglePin(state, "query", 2);
    expect(state.now.pinned.query.value).toEqual([]);
  });

  it("shift adds and removes; the next one takes the first one's place", () => {
    const { state } = make({ query: 2 });
    togglePin(state, "query", 3, true);
    togglePin(state, "query", 1, true);
    expect(state.now.pinned.query.value).toEqual([2, 3, 1]);
    togglePin(state, "query", 2, true);
    expect(state.synced.query.value).toBe(3);
    expect(state.synced.more_queries.value).toEqual([1]);
    togglePin(state, "query", 1);
    expect(state.now.pinned.query.value).toEqual([1]);
  });

  it("pieces of one word count once", () => {
    const { state } = make({ query: 1, more_queries: [2], whole_words: true });
    expect(state.now.pinned.query.value).toEqual([1]);
  });
});

describe("selection", () => {
  it("shift adds and removes, but never the last", () => {
    const { state } = make();
    selectHead(state, [0, 0], true);
    expect(state.now.heads.value).toEqual([
      [2, 1],
      [0, 0],
    ]);
    selectHead(state, [2, 1], true);
    selectHead(state, [0, 0], true);
    expect(state.now.heads.value).toEqual([[0, 0]]);
  });

  it("steps through the layers that exist, within the heads they have", () => {
    const { state } = make({ heads: [[2, 3]] });
    moveLayer(state, -1);
    expect(state.now.heads.value).toEqual([[0, 1]]);
    moveLayer(state, -1);
    moveLayer(state, 1);
    expect(state.now.heads.value).toEqual([[2, 1]]);
  });

  it("steps the last head and stops at the ends", () => {
    const { state } = make({
      heads: [
        [0, 0],
        [2, 3],
      ],
    });
    moveHead(state, 1);
    expect(state.now.heads.value).toEqual([
      [0, 0],
      [2, 3],
    ]);
    moveHead(state, -1);
    expect(state.now.heads.value).toEqual([
      [0, 0],
      [2, 2],
    ]);
  });
});
