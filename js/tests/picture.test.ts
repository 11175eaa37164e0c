// @vitest-environment jsdom
import { signal } from "@preact/signals-core";
import { beforeEach, expect, it, vi } from "vitest";
import type { Context } from "../src/context.js";
import { drawsVectors, saveView } from "../src/picture.js";
import { isRequest } from "../src/protocol-check.js";
import type { Source } from "../src/source.js";
import { State } from "../src/state.js";
import type { View } from "../src/views/registry.js";
import { captureInfo, kindInfo } from "./samples.js";
import { standIn } from "./stand-in.js";

standIn();

const saved: string[] = [];

beforeEach(() => {
  saved.length = 0;
  vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (this: HTMLAnchorElement) {
    saved.push(this.download);
  });
  vi.stubGlobal(
    "URL",
    Object.assign(URL, { createObjectURL: () => "blob:drawing", revokeObjectURL: () => {} }),
  );
});

function made(status: string, ask: Source["ask"]): { context: Context; view: View; state: State } {
  const state = new State(captureInfo(kindInfo()), { view: "steps", theme: "auto", query: 1 });
  state.page.dark.value = true;
  const source = { status: signal(status), ask } as unknown as Source;
  const context = { state, source, life: new AbortController().signal } as Context;
  const view = { element: document.body, picture: () => null, choices: () => ({ temperature: 2 }) };
  return { context, view, state };
}

it("asks the kernel for vectors of what is on the screen", async () => {
  const ask = vi.fn(async () => ({ shape: [0], data: new Float32Array(0), info: { svg: "<svg/>" } }));
  const { context, view } = made("live", ask);
  expect(drawsVectors(context)).toBe(true);
  await saveView(context, view, false);
  const [[request]] = ask.mock.calls as unknown as [[Record<string, unknown>]];
  expect(isRequest(request)).toBe(true);
  expect(request).toMatchObject({ type: "figure", choices: { temperature: 2 } });
  expect(request.state).toMatchObject({ view: "steps", theme: "dark", query: 1 });
  expect(saved).toHaveLength(1);
  expect(saved[0]).toMatch(/-steps\.svg$/);
});

it("asks nobody for vectors where no kernel is, or pixels are wanted", async () => {
  const ask = vi.fn();
  for (const [status, raster] of [
    ["stored", false],
    ["live", true],
  ] as const) {
    const { context, view, state } = made(status, ask);
    await saveView(context, view, raster);
    expect(state.page.message.value).toBe("There is nothing to save yet.");
  }
  expect(ask).not.toHaveBeenCalled();
});

it("says so and saves pixels where the kernel does not draw", async () => {
  const { context, view, state } = made("live", async () => {
    throw new Error("It is busy.");
  });
  const picture = vi.fn(() => document.createElement("canvas"));
  await saveView(context, { ...view, picture }, false);
  expect(state.page.message.value).toBe("It is busy. Saved as PNG instead.");
  expect(picture).toHaveBeenCalledOnce();
});
