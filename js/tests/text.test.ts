import { expect, it } from "vitest";
import { pieces, shown, spoken } from "../src/text.js";

it.each([
  [" cat", "·cat"],
  ["  ", "··"],
  ["a  b", "a  b"],
  ["x ", "x·"],
  ["\n", "⏎"],
  [" \n ", "·⏎·"],
  ["\t\t", "⇥⇥"],
  ["\r\n", "⇤⏎"],
  ["\u2028", "⏎"],
  ["", "∅"],
  ["猫", "猫"],
  ["שלום", "שלום"],
])("white space and nothing are seen: %j", (token, written) => {
  expect(shown(token)).toBe(written);
});

it.each([
  ["\u202eevil", "\ufffdevil"],
  ["\u2067b\u2069", "\ufffdb\ufffd"],
  ["a\u200bb\u00ad", "a\ufffdb\ufffd"],
  ["\u0000", "\ufffd"],
  ["\ud800", "\ufffd"],
  ["\ufdd0", "\ufffd"],
  ["\u200d", "\ufffd"],
])("what acts on other text or cannot be seen is replaced: %j", (token, written) => {
  expect(shown(token)).toBe(written);
  expect(spoken(token)).toBe(written);
});

it.each(["👩\u200d👩\u200d👧", "می\u200cخواهم", "\u0600١"])(
  "what shapes its own letters stays: %j",
  (token) => {
    expect(shown(token)).toBe(token);
  },
);

it("signs are told from text", () => {
  expect(pieces(" a\u202eb\t")).toEqual([
    { text: "·", sign: true },
    { text: "a", sign: false },
    { text: "\ufffd", sign: true },
    { text: "b", sign: false },
    { text: "⇥", sign: true },
  ]);
  expect(spoken(" it ")).toBe("it");
});
