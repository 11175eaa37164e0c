// @vitest-environment jsdom
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Model } from "../src/model.js";
import widget from "../src/widget.js";
import { captureInfo, kindInfo } from "./samples.js";
import { standIn } from "./stand-in.js";

const HOSTILE = "<img src=x onerror=alert(1)>";

class FakeModel implements Model {
  listeners = new Map<string, Set<(...values: never[]) => void>>();
  saves: Record<string, unknown>[] = [];
  sent: { type: string }[] = [];
  #changed: Record<string, unknown> = {};

  constructor(readonly traits: Record<string, unknown>) {}

  get(name: string): unknown {
    return this.traits[name];
  }

  set(name: string, value: unknown): void {
    this.traits[name] = value;
    this.#changed[name] = value;
    for (const run of this.listeners.get(`change:${name}`) ?? []) run();
  }

  save_changes(): void {
    this.saves.push(this.#changed);
    this.#changed = {};
  }

  send(content: unknown): void {
    this.sent.push(content as { type: string });
  }

  on(event: string, handler: (...values: never[]) => void): void {
    this.listeners.set(event, (this.listeners.get(event) ?? new Set()).add(handler));
  }

  off(event: string, handler: (...values: never[]) => void): void {
    this.listeners.get(event)?.delete(handler);
  }

  get listening(): number {
    return [...this.listeners.values()].reduce((sum, handlers) => sum + handlers.size, 0);
  }
}

const make = () => {
  const queries = { ...kindInfo().queries, text: ["[CLS]", HOSTILE, "b", "c", "[SEP]"] };
  return new FakeModel({
    _capture: { ...captureInfo(kindInfo({ queries, label: HOSTILE })), model: HOSTILE },
    _first: [],
    kind: "self",
    view: "links",
    layer: 0,
    heads: [[0, 0]],
  });
};
const frame = () => new Promise((go) => setTimeout(go, 150));
const stop: (() => void)[] = [];

function show(model: Model, element = document.createElement("div")): { el: HTMLElement; end: () => void } {
  document.body.append(element);
  const end = widget.render({ model, el: element });
  stop.push(end);
  return { el: element, end };
}

standIn();
afterEach(() => {
  for (const end of stop.splice(0)) end();
});

it("a click on a head sets both traits in one save", async () => {
  const model = make();
  const { el } = show(model);
  await frame();
  el.querySelector<HTMLElement>('[data-layer="2"][data-head="3"]')?.click();
  expect(model.saves).toEqual([{ heads: [[2, 3]], layer: 2 }]);
});

it("two views of one model stay in sync", async () => {
  const model = make();
  const [one, two] = [show(model), show(model)];
  await frame();
  one.el.querySelector<HTMLElement>('[role="tab"]:nth-child(2)')?.click();
  model.set("heads", [[2, 1]]);
  await frame();
  for (const { el } of [one, two]) {
    expect(el.querySelector('[role="tab"][aria-selected="true"]')?.textContent).toBe("Matrix");
    expect(el.querySelector(".chip")?.textContent).toContain("L2 H1");
  }
});

it("text never becomes elements", async () => {
  const { el } = show(make());
  await frame();
  expect(el.querySelector("img")).toBeNull();
  expect(el.textContent).toContain(HOSTILE);
});

it("nothing is left when the view is removed", async () => {
  const model = make();
  const { el, end } = show(model);
  await frame();
  expect(model.listening).toBeGreaterThan(10);
  end();
  expect(model.listening).toBe(0);
  expect(el.childElementCount).toBe(0);
});

it("traits from outside that make no sense are held out", async () => {
  const model = make();
  const { el } = show(model);
  await frame();
  model.set("heads", [[99, 0]]);
  model.set("layer", -3);
  model.set("query", 12345);
  model.set("view", "no such view");
  await frame();
  expect(el.querySelector(".chip")?.textContent).toContain("L0 H0");
  expect(el.querySelector('[role="tab"][aria-selected="true"]')?.textContent).toBe("Links");
});

it("a kernel of another version is said to be one", async () => {
  const model = make();
  const { el } = show(model);
  const hello = model.sent.find(({ type }) => type === "hello") as { id?: string } | undefined;
  for (const run of model.listeners.get("msg:custom") ?? [])
    (run as (content: unknown) => void)({ id: hello?.id, type: "hello", version: 2 });
  await frame();
  expect(el.querySelector(".status")?.textContent).toMatch(/another version/);
  expect(el.querySelector(".status")?.getAttribute("data-status")).toBe("other");
});

it("without a model's name nothing is left empty for it", async () => {
  const model = make();
  model.traits._capture = { ...captureInfo(), model: " " };
  const { el } = show(model);
  await frame();
  expect(el.querySelector(".attnscope")?.getAttribute("aria-label")).toBe("Attention");
  expect(el.querySelector<HTMLElement>(".title b")?.hidden).toBe(true);
});

it("the head map says what its colours mean", async () => {
  const model = make();
  model.traits._first = [
    {
      request: { type: "statistic", kind: "self", statistic: "entropy" },
      reply: { shape: [2, 4], data: new Float32Array([0.25, 0.5, NaN, NaN, 0.1, 0.2, 0.3, 0.75]) },
    },
  ];
  const { el } = show(model);
  await frame();
  expect(el.querySelector(".headmap + .color-scale")?.textContent).toBe("0.100.75");
  model.set("color_scale", "log");
  await frame();
  expect(el.querySelector(".headmap + .color-scale")?.textContent).toContain("(log)");
});

it("says what is wrong with a capture it cannot read", () => {
  const { el } = show(new FakeModel({ _capture: { version: 9 } }));
  expect(el.textContent).toMatch(/not readable/);
});

it("a saved notebook asks no kernel and says so", async () => {
  const model = make();
  const element = document.createElement("div");
  element.className = "jupyter-widgets-disconnected";
  const { el } = show(model, element);
  await vi.waitFor(
    () => {
      expect(el.querySelector(".status")?.textContent).toBe("saved data, no kernel");
      expect(el.querySelector(".message")?.textContent).toMatch(/not stored in this notebook/);
      expect(el.querySelector(".attnscope")?.getAttribute("data-ready")).toBe("true");
    },
    { timeout: 5000 },
  );
  expect(model.sent).toEqual([]);
});

describe("what is stored with the notebook", () => {
  /** A pack of one layer of packed weights, as Python compresses it. */
  function stored(): DataView {
    const kind = kindInfo({ layers: [0, 2], heads: [2, 4] });
    const layer = { kind: "self", layer: 0, form: "weights", heads: 2, weights: "w", mask: 0 };
    const page = { capture: captureInfo(kind), layers: [layer], masks: [{ form: "full" }], first: [] };
    const header = JSON.stringify({
      __metadata__: { page: JSON.stringify(page) },
      w: { dtype: "U16", shape: [2, 25], data_offsets: [0, 100] },
    });
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(header.length));
    const cells = Buffer.from(new Uint16Array(50).fill(13107).buffer);
    const packed = gzipSync(Buffer.concat([size, Buffer.from(header), cells]));
    return new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  }
  const until = (look: () => void) => vi.waitFor(look, { timeout: 3000 });
  const status = (el: HTMLElement) => el.querySelector(".status");

  it("answers without a kernel, and says how much there is", async () => {
    const model = make();
    model.traits._stored = stored();
    const element = document.createElement("div");
    element.className = "jupyter-widgets-disconnected";
    const { el } = show(model, element);
    await until(() => expect(status(el)?.textContent).toBe("saved data, no kernel · 1 of 2 layers stored"));
    expect(el.querySelector<HTMLElement>(".absent")?.hidden).toBe(true);
    model.set("heads", [[2, 1]]);
    await until(() =>
      expect(el.querySelector(".absent")?.textContent).toBe(
        "Layer 2 is not stored in this notebook; run the cell to see it.",
      ),
    );
    expect(model.sent).toEqual([]);
  });

  it("takes over when the kernel is gone, and leaves when it speaks again", async () => {
    const model = make();
    model.traits._stored = stored();
    const { el } = show(model);
    const { send } = model;
    model.send = () => {
      throw new Error("Cannot send");
    };
    for (const lost of model.listeners.get("comm_live_update") ?? []) lost();
    await until(() => expect(status(el)?.textContent).toMatch(/^saved data, no kernel · /));
    expect(status(el)?.getAttribute("data-status")).toBe("stored");
    model.send = send;
    const hello = { id: `${String((model.sent[0] as { id?: string }).id)}`, type: "hello", version: 1 };
    for (const hear of model.listeners.get("msg:custom") ?? []) (hear as (reply: unknown) => void)(hello);
    await until(() => expect(status(el)?.textContent).toBe("live kernel"));
  });

  it("shows what came along when it is damaged", async () => {
    const model = make();
    model.traits._stored = new DataView(new ArrayBuffer(40));
    const element = document.createElement("div");
    element.className = "jupyter-widgets-disconnected";
    const { el } = show(model, element);
    await until(() => expect(status(el)?.textContent).toBe("saved data, no kernel"));
  });

  it("is asked for when the page rests, with what is there", async () => {
    const model = make();
    show(model);
    const [{ id } = { id: "" }] = model.sent as unknown as { id: string }[];
    const hello = { id, type: "hello", version: 1 };
    for (const hear of model.listeners.get("msg:custom") ?? []) (hear as (reply: unknown) => void)(hello);
    const answer = (message: { type: string; id?: string }) => ({
      id: message.id,
      error: { name: "E", message: "no" },
    });
    await vi.waitFor(
      () => {
        for (const message of model.sent) {
          for (const hear of model.listeners.get("msg:custom") ?? [])
            (hear as (reply: unknown) => void)(answer(message));
        }
        expect(model.sent).toContainEqual({ type: "store", has: 0 });
      },
      { timeout: 5000, interval: 200 },
    );
  });

  it("hides what stands in for it", async () => {
    const model = make();
    model.traits._mark = "ab12";
    const stand = document.createElement("div");
    stand.dataset.attnscopeStandin = "ab12";
    const other = document.createElement("div");
    other.dataset.attnscopeStandin = "ab13";
    document.body.append(stand, other);
    const { el } = show(model);
    expect(el.dataset.attnscopeLive).toBe("ab12");
    expect([stand.style.display, other.style.display]).toEqual(["none", ""]);
  });
});

it("another capture takes the place of the first one, and keeps the page's own choices", async () => {
  const model = make();
  const host = document.createElement("div");
  document.body.append(host);
  const stop = widget.render({ model, el: host });
  await frame();
  const texts = ["x", "y"];
  const queries = { text: texts, special: [], words: [0, 1], segments: null };
  model.set("_capture", captureInfo(kindInfo({ queries })));
  await frame();
  const root = host.querySelector(".attnscope");
  expect(host.querySelectorAll(":scope > .attnscope").length).toBe(1);
  expect(root?.querySelector(".about")?.textContent).toContain("2 tokens");
  stop();
  expect(model.listening).toBe(0);
});

it("progress is shown, and Stop asks the kernel", async () => {
  const model = make();
  const host = document.createElement("div");
  document.body.append(host);
  const stop = widget.render({ model, el: host });
  const working = () => host.querySelector<HTMLElement>(".progress");
  expect(working()?.hidden).toBe(true);
  model.set("progress", { done: 3, total: 8, label: HOSTILE });
  expect(working()?.hidden).toBe(false);
  expect(working()?.textContent).toContain("3 of 8");
  expect(host.querySelector("img")).toBeNull();
  working()?.querySelector("button")?.click();
  expect(model.sent.map(({ type }) => type)).toContain("stop");
  for (const nonsense of [{ done: -1 }, "5", { total: 3 }]) {
    model.set("progress", nonsense);
    expect(working()?.hidden).toBe(true);
  }
  stop();
});

it("switches a head off where the kernel has the model, and says how to give it otherwise", async () => {
  const press = (el: HTMLElement) =>
    [...el.querySelectorAll("button")].find((one) => one.textContent === "Ablate this head")?.click();
  const effect = (el: HTMLElement) => el.querySelector(".effect")?.textContent ?? "";
  const without = show(make());
  await frame();
  press(without.el);
  await frame();
  expect(effect(without.el)).toContain("model=model, tokenizer=tokenizer");

  const model = make();
  model.traits._capture = { ...(model.traits._capture as object), runs: true };
  model.traits.heads = [[2, 1]];
  model.traits.query = 3;
  const { el } = show(model);
  await frame();
  press(el);
  const answer = (reply: object) => {
    for (const run of model.listeners.get("msg:custom") ?? []) {
      run(reply as never, [new DataView(new ArrayBuffer(0))] as never);
    }
  };
  const ablation = () => model.sent.find(({ type }) => type === "ablate") as { id: string; type: string };
  const refused = new Set<string>();
  for (let turn = 0; turn < 10 && !ablation(); turn++) {
    for (const { id, type } of model.sent as { id?: string; type: string }[]) {
      if (type === "ablate") continue;
      if (id && !refused.has(id)) answer({ id, error: { name: "E", message: "not here" } });
      if (id) refused.add(id);
    }
    await frame();
  }
  const sent = ablation();
  expect(sent).toMatchObject({ kind: "self", heads: [[2, 1]], query: 3 });
  expect(effect(el)).toContain("running the model");
  const lines = ["L2H1 of self attention set to zero", `next token after '${HOSTILE}': p('b') 20.0% → 4.0%`];
  answer({ id: sent.id, type: "ablate", shape: [0], dtype: "float32", info: { lines } });
  await frame();
  expect(effect(el)).toBe(lines.join(""));
  expect(el.querySelector(".effect img")).toBeNull();
  model.set("heads", [[2, 0]]);
  await frame();
  expect(effect(el)).toBe("");
});
