import { describe, expect, it } from "vitest";
import { makeAxis } from "../src/attention/axis.js";
import { LIGHT } from "../src/draw/palette.js";
import type { TokensInfo } from "../src/protocol.js";
import { flowOf, joinBytes, runsLeft } from "../src/views/text-flow.js";
import { layOut, type TextLine } from "../src/views/text-layout.js";
import { groupingsOf, sentencesOf, sumsOf } from "../src/views/text-passages.js";
import { Shade } from "../src/views/text-shade.js";
import { sumRows } from "../src/views/text-sums.js";

function tokens(text: string[], over: Partial<TokensInfo> = {}): TokensInfo {
  return { text, special: [], words: text.map((_, at) => at), segments: null, ...over };
}

const flow = (info: TokensInfo, wholeWords = false) => flowOf(makeAxis(info, wholeWords), info.gaps);

/** The text again, as it would be read. */
function read(lines: readonly TextLine[]): string {
  const write = ({ head, placed }: TextLine) =>
    head === null ? placed.map(({ lead, text }) => lead + text).join("") : `[${head}]`;
  return lines.map(write).join("\n");
}

const measure = (text: string) => text.length;
const set = (info: TokensInfo, width = 1_000) => read(layOut(flow(info), [], width, measure));

describe("a text is read as it was written", () => {
  it.each<[string, TokensInfo, string]>([
    ["byte-level pieces", tokens(["The", " un", "able", " cat", "."]), "The unable cat."],
    ["sentencepiece", tokens([" The", " cat"]), "The cat"],
    ["word pieces", tokens(["un", "##able", "cat", "."], { gaps: [0, 0, 1, 0] }), "unable cat."],
    ["a hash that is one", tokens(["#", "##", "x"], { gaps: [0, 1, 1] }), "# ## x"],
    ["characters without spaces", tokens(["猫", "が"]), "猫が"],
    ["line breaks of their own", tokens(["a", "\n\n", "b"]), "a⏎\n\nb"],
    ["line breaks inside a token", tokens(["a.\n", "b"]), "a.\nb"],
    ["line breaks no token carries", tokens(["a", "b"], { gaps: [0, 3] }), "a\n\nb"],
    ["indentation", tokens(["x:", "\n", "    return", " x"]), "x:⏎\n    return x"],
    ["nothing", tokens(["a", ""]), "a∅"],
    ["a right-to-left override", tokens(["a", "\u202ebad"]), "a\ufffdbad"],
  ])("%s", (_, info, text) => {
    expect(set(info)).toBe(text);
  });

  it("joins bytes of one character, and leaves those of none", () => {
    expect(joinBytes([" <0xF0><0x9F>", "<0x98><0x80>", "x"])).toEqual([" 😀", "⁺", "x"]);
    expect(joinBytes(["<0xE7>", "<0x8C>", "<0xAB>が"])).toEqual(["猫", "⁺", "が"]);
    expect(joinBytes(["<0xF0>", "x"])).toEqual(["<0xF0>", "x"]);
  });

  it("shows every token once, whole words too", () => {
    const info = tokens(["[CLS]", "un", "##able", "\n", "x\ny", "[SEP]"], {
      words: [-1, 0, 0, 1, 2, -1],
      special: [0, 5],
    });
    for (const whole of [false, true]) {
      const axis = makeAxis(info, whole);
      const firsts = flowOf(axis, undefined).filter(({ first }) => first);
      expect(firsts.map(({ unit }) => unit)).toEqual([...axis.units.keys()]);
    }
  });

  it.each([
    [["שלום", " a"], true],
    [["a", " שלום"], false],
    [["1", " مرحبا"], true],
    [["猫"], false],
  ])("the first letter decides the direction: %j", (text, left) => {
    expect(runsLeft(flow(tokens(text)))).toBe(left);
  });
});

describe("lines", () => {
  it("break between words, never inside, and drop the space there", () => {
    expect(set(tokens(["The", " un", "able", " cat"]), 8)).toBe("The\nunable\ncat");
  });

  it("break between characters of scripts without spaces", () => {
    expect(set(tokens(["猫", "が", "座", "っ"]), 2)).toBe("猫が\n座っ");
  });

  it("tear a word, then a token, that is longer than a line", () => {
    expect(set(tokens(["abc", "def"]), 4)).toBe("abc\ndef");
    const lines = layOut(flow(tokens(["x", " abcdefghi"])), [], 4, measure);
    expect(read(lines)).toBe("x\nabcd\nefgh\ni");
    expect(lines.flatMap(({ placed }) => placed.map(({ first }) => first))).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  it("hold nothing of a folded passage but its head", () => {
    const info = tokens(["a", " b", " c", " d"]);
    const section = { from: 1, to: 3, passage: 7 };
    expect(read(layOut(flow(info), [{ ...section, folded: true }], 99, measure))).toBe("a\n[7]\nd");
    expect(read(layOut(flow(info), [{ ...section, folded: false }], 99, measure))).toBe("a\n[7]\nb c\nd");
  });

  it("hold 30,000 tokens, each once", () => {
    const info = tokens(Array.from({ length: 30_000 }, (_, at) => (at % 400 === 399 ? "\n" : ` w${at}`)));
    const lines = layOut(flow(info), [], 80, measure);
    const units = lines.flatMap(({ placed }) =>
      placed.filter(({ first }) => first).map(({ piece }) => piece.unit),
    );
    expect(units).toEqual([...Array(30_000).keys()]);
  });
});

describe("passages", () => {
  it("are sentences, special tokens apart", () => {
    const info = tokens(["[CLS]", "Hi", " Dr", ".", " it", " is", ".", " So", " 3.5", "?", "[SEP]"], {
      special: [0, 10],
    });
    expect(sentencesOf(flow(info)).map(({ from, to, label }) => [from, to, label])).toEqual([
      [1, 7, "Hi Dr. it is."],
      [7, 10, "So 3.5?"],
    ]);
  });

  it("are found where a tokenizer has dropped the capitals, and in scripts without", () => {
    const lower = tokens(["he", "sat", ".", "it", "sat", "."], { gaps: [0, 1, 0, 1, 1, 0] });
    expect(sentencesOf(flow(lower)).map(({ label }) => label)).toEqual(["he sat.", "it sat."]);
    expect(sentencesOf(flow(tokens(["猫", "。", "犬", "。"]))).map(({ label }) => label)).toEqual([
      "猫。",
      "犬。",
    ]);
  });

  it("end at spaces that are tokens of their own", () => {
    const info = tokens(["He", " sat", ".", " ", "A", " dog", " ran", "."]);
    expect(sentencesOf(flow(info)).map(({ from, to }) => [from, to])).toEqual([
      [0, 4],
      [4, 8],
    ]);
  });

  it("are offered the most telling first, in units", () => {
    const info = tokens(["un", "##able", " a", "[SEP]", " b"], {
      words: [0, 0, 1, -1, 2],
      special: [3],
      segments: [0, 0, 0, 0, 1],
      turns: [
        [0, 3, "user"],
        [3, 5, "assistant"],
      ],
    });
    const axis = makeAxis(info, true);
    const found = groupingsOf(axis, info, flowOf(axis, undefined), [{ from: 1, to: 3, label: "mine" }]);
    expect([...found.keys()]).toEqual(["span", "turn", "segment", "sentence"]);
    expect(found.get("span")).toEqual([{ from: 0, to: 2, label: "mine" }]);
    expect(found.get("turn")).toEqual([
      { from: 0, to: 2, label: "user" },
      { from: 2, to: 4, label: "assistant" },
    ]);
    expect(found.get("segment")?.map(({ from, to }) => [from, to])).toEqual([
      [0, 3],
      [3, 4],
    ]);
  });

  it("and what lies in none add up to the whole, without the masked", () => {
    const values = Float32Array.of(0.25, 0.5, Number.NaN, 0.125, 0.125);
    const { sums, rest } = sumsOf(values, [
      { from: 0, to: 2, label: "" },
      { from: 2, to: 4, label: "" },
    ]);
    expect([...sums, rest]).toEqual([0.75, 0.125, 0.125]);
  });

  it("stand in order, or the largest first by the head selected last", () => {
    const passages = ["a", "b"].map((label, at) => ({ from: at, to: at + 1, label }));
    const sums = [
      { sums: [0.9, 0.1], rest: 0 },
      { sums: [0.1, 0.3], rest: 0.6 },
    ];
    const names = (bySize: boolean) =>
      sumRows(passages, sums, "special tokens", bySize).map(({ label }) => label);
    expect(names(false)).toEqual(["a", "b", "special tokens"]);
    expect(names(true)).toEqual(["special tokens", "b", "a"]);
  });
});

describe("colours", () => {
  const one = (values: number[], measureName = "weights") =>
    new Shade(
      [{ short: "L0 H0", color: [1, 2, 3], values: Float32Array.from(values) }],
      LIGHT,
      measureName,
      "linear",
    );

  it("go from nothing to the largest weight of the row", () => {
    const shade = one([0, 0.1, 0.2, Number.NaN]);
    expect(shade.domain).toEqual({ least: 0, most: expect.closeTo(0.2) });
    expect(shade.look(0).background).toBe("");
    expect(shade.look(2).background).toContain("rgb(6 44 105)");
    expect(shade.look(3)).toMatchObject({ background: "", masked: true });
    expect(shade.numbers(1, 6)).toBe("0.100000");
  });

  it("put no effect in the middle", () => {
    const shade = one([-0.4, 0, 0.2], "gradient");
    expect(shade.domain).toEqual({ least: expect.closeTo(-0.4), most: expect.closeTo(0.4) });
    expect(shade.color(0)).toEqual(LIGHT.diverging[3]);
    expect(shade.color(-0.4)).toEqual(LIGHT.diverging[0]);
  });

  it("are a line for each of several heads, dashed where negative", () => {
    const series = [0.5, -1].map((value, at) => ({
      short: `L0 H${at}`,
      color: [at, 0, 0] as const,
      values: Float32Array.of(value),
    }));
    const shade = new Shade(series, LIGHT, "gradient", "linear");
    expect(shade.look(0).background).toContain("repeating-linear-gradient");
    expect(shade.look(0).background.match(/no-repeat/g)).toHaveLength(2);
    expect(shade.numbers(0, 1)).toBe("L0 H1 -1.0 · L0 H0 0.5");
  });
});
