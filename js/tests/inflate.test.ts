import { gzipSync } from "node:zlib";
import { describe, expect, it, vi } from "vitest";
import { Breath } from "../src/source/breath.js";
import { fromBase64, inflate } from "../src/source/inflate.js";
import { noise } from "./samples.js";

const bytes = new Uint8Array(noise(300_000, 3).buffer);
const text = gzipSync(bytes).toString("base64");

describe("a page's data", () => {
  it("comes out as it went in", async () => {
    expect(text.length).toBeGreaterThan(2 ** 19);
    const found = await inflate(fromBase64(text));
    expect(found.length).toBe(bytes.length);
    expect(found.every((value, at) => value === bytes[at])).toBe(true);
  });

  it.each([1, 2, 3])("comes out whole with any padding (%i bytes)", async (count) => {
    const some = Uint8Array.from({ length: count }, (_, at) => 250 + at);
    const found = await inflate(fromBase64(gzipSync(some).toString("base64")));
    expect([...found]).toEqual([...some]);
  });

  it("is refused where it was cut off or is no base64", async () => {
    await expect(inflate(fromBase64(text.slice(0, text.length - 400)))).rejects.toThrow();
    await expect(inflate(fromBase64(`${text.slice(0, 400)}$$$$`))).rejects.toThrow();
  });
});

describe("a long computation", () => {
  it("lets other tasks run each time a slice is over, and stops where it is given up", async () => {
    const now = vi.spyOn(performance, "now");
    let time = 0;
    now.mockImplementation(() => time);
    const controller = new AbortController();
    const breath = new Breath(controller.signal);
    let others = 0;
    const count = () => {
      others += 1;
      if (others < 1000) setImmediate(count);
    };
    setImmediate(count);
    for (let step = 0; step < 50; step++) await breath.take();
    expect(others).toBe(0);
    for (let step = 0; step < 50; step++) {
      time += 20;
      await breath.take();
    }
    expect(others).toBeGreaterThan(10);
    controller.abort(new Error("given up"));
    time += 20;
    await expect(breath.take()).rejects.toThrow("given up");
    others = 1000;
    now.mockRestore();
  });
});
