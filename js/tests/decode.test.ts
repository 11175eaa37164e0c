import { describe, expect, it } from "vitest";
import { bytesOf, decodeReply, float32, uint16 } from "../src/decode.js";

const numbers = new Float32Array([1.5, -2.25, 3e-8]);

function shifted(by: number): Uint8Array {
  const room = new Uint8Array(numbers.byteLength + by);
  room.set(new Uint8Array(numbers.buffer), by);
  return room.subarray(by);
}

describe("float32", () => {
  it("reads an ArrayBuffer, a typed array and a DataView alike", () => {
    expect(float32(numbers.buffer)).toEqual(numbers);
    expect(float32(new Uint8Array(numbers.buffer))).toEqual(numbers);
    expect(float32(new DataView(numbers.buffer))).toEqual(numbers);
  });

  it.each([1, 2, 3, 4, 7])("honours a byteOffset of %i", (by) => {
    const bytes = shifted(by);
    expect(float32(bytes)).toEqual(numbers);
    expect(float32(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength))).toEqual(numbers);
  });

  it("stops at byteLength", () => {
    expect(float32(new DataView(numbers.buffer, 4, 4))).toEqual(new Float32Array([-2.25]));
  });

  it("refuses bytes that are no whole numbers", () => {
    expect(() => float32(new Uint8Array(6))).toThrow(/whole number/);
    expect(() => float32("text")).toThrow(/no buffer/);
  });
});

it("uint16 at an odd offset", () => {
  const bytes = new Uint8Array([9, 1, 2, 255, 255]).subarray(1);
  expect([...uint16(bytes)]).toEqual([0x0201, 65535]);
});

it("bytesOf keeps the view's own part", () => {
  expect([...bytesOf(new DataView(new Uint8Array([1, 2, 3, 4]).buffer, 1, 2))]).toEqual([2, 3]);
});

it("a reply must fill its shape", () => {
  const reply = { id: "a", type: "pair", shape: [1, 3], dtype: "float32" };
  expect(decodeReply(reply, numbers).data).toEqual(numbers);
  expect(() => decodeReply({ ...reply, shape: [2, 3] }, numbers)).toThrow(/2 × 3/);
});
