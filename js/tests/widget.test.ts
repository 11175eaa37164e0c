// @vitest-environment jsdom
import { afterEach, expect, it } from "vitest";
import type { Model } from "../src/widget.js";
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
  await frame();
  expect(model.sent).toEqual([]);
  expect(el.querySelector(".status")?.textContent).toBe("saved data, no kernel");
  expect(el.querySelector(".message")?.textContent).toMatch(/not saved with the notebook/);
  await frame();
  expect(el.querySelector(".attnscope")?.getAttribute("data-ready")).toBe("true");
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
