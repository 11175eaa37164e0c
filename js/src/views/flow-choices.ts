import { type Signal, signal } from "@preact/signals-core";
import { clamp } from "../basics.js";
import type { Context } from "../context.js";
import { checkbox } from "../controls/fields.js";
import { MOST_COLORED, weightsOf } from "../controls/work.js";
import { button, el, setAttribute, watch } from "../dom.js";
import type { EvolutionRequest, FlowRequest, Head } from "../protocol.js";
import { Asked } from "./asked.js";

const LINKS = 2000;
const PER_LAYER = 120;
const UNFOLLOWABLE = "Layers can be followed only where tokens attend to the same tokens.";

/** What is followed, chosen in the page, and the answers to it. */
export class FlowChoices {
  readonly element: HTMLElement;
  readonly routes: Asked<FlowRequest>;
  readonly layers: Asked<EvolutionRequest>;
  readonly excess: Signal<boolean> = signal(false);
  readonly all: Signal<boolean> = signal(true);
  /** How many layers the content has gone through where it is followed from; null for all. */
  readonly level: Signal<number | null> = signal(null);
  readonly table: Signal<boolean> = signal(false);
  /** Until somebody chooses, routes where they do not take long: they need every weight of every layer. */
  readonly #layered: Signal<boolean | null> = signal(null);

  constructor(readonly context: Context) {
    const { state, life } = context;
    this.routes = new Asked<FlowRequest>(context);
    this.layers = new Asked<EvolutionRequest>(context);
    const toggle = (label: string, set: () => void) => button({ class: "small" }, set, label);
    const write = <Value>(target: Signal<Value>, value: Value) => {
      target.value = value;
    };
    const routed = toggle("Routes", () => write(this.#layered, false));
    const layered = toggle("Layer by layer", () => write(this.#layered, true));
    const chance = checkbox("minus chance", (on) => write(this.excess, on));
    const mean = checkbox("mean of all heads", (on) => write(this.all, on));
    const whole = toggle("from the last layer", () => write(this.level, null));
    const table = toggle("Numbers", () => write(this.table, !this.table.value));
    const modes = { class: "head-switch", role: "group", "aria-label": "What is followed" };
    this.element = el(
      "div",
      { class: "flow-bar" },
      el("div", modes, routed, layered),
      chance.element,
      mean.element,
      whole,
      table,
    );
    watch(life, () => {
      void state.now.kind.value;
      this.level.value = null;
    });
    watch(life, () => {
      const followed = this.isRouted;
      setAttribute(routed, "aria-pressed", String(followed));
      setAttribute(layered, "aria-pressed", String(!followed));
      routed.disabled = state.now.kind.value.keys !== null;
      setAttribute(routed, "title", routed.disabled ? UNFOLLOWABLE : undefined);
      chance.element.hidden = !followed;
      mean.element.hidden = followed;
      chance.field.checked = this.excess.value;
      mean.field.checked = this.all.value;
      whole.hidden = !followed || this.level.value === null;
      setAttribute(table, "aria-expanded", String(this.table.value));
    });
    watch(life, () => this.#ask());
  }

  /** Whether routes are shown; cross-attention has none. */
  get isRouted(): boolean {
    const kind = this.context.state.now.kind.value;
    return !(this.#layered.value ?? weightsOf(kind) > MOST_COLORED) && kind.keys === null;
  }

  /** Whether nothing is here yet of what was asked. */
  get waits(): boolean {
    return (this.isRouted ? this.routes : this.layers).answer.value === null;
  }

  get query(): number {
    const { synced, now } = this.context.state;
    return clamp(synced.query.value ?? 0, 0, now.queries.value.length - 1);
  }

  #ask(): void {
    const { kind, heads } = this.context.state.now;
    const { layers } = kind.value;
    const [, head] = heads.value[heads.value.length - 1] as Head;
    const level = clamp(this.level.value ?? layers.length, 1, layers.length);
    const edges = clamp(Math.floor(LINKS / level), 1, PER_LAYER);
    const common = { kind: kind.value.kind, query: this.query };
    const excess = this.excess.value;
    this.routes.ask(this.isRouted ? { type: "flow", ...common, level, edges, excess } : null);
    const one = this.all.value ? null : head;
    this.layers.ask(this.isRouted ? null : { type: "evolution", ...common, head: one });
  }
}
