import type { Axis } from "../attention/axis.js";
import type { Context } from "../context.js";
import type { Side } from "../state.js";
import { flowOf, type Piece } from "./text-flow.js";
import type { PaneText } from "./text-given.js";
import type { Section } from "./text-layout.js";
import { type Grouping, groupingsOf, type Passage } from "./text-passages.js";

export interface Prepared {
  axis: Axis;
  flow: Piece[];
  groupings: Map<Grouping, Passage[]>;
}

/** The texts of both sides, made ready once: how tokens flow, and what passages they form. */
export class PreparedTexts {
  readonly #prepared = new Map<Side, Prepared>();
  readonly #kept = new Map<Side, PaneText>();

  constructor(readonly context: Context) {}

  forget(): void {
    this.#prepared.clear();
  }

  of(side: Side): Prepared {
    const known = this.#prepared.get(side);
    if (known) return known;
    const { now, synced } = this.context.state;
    const kind = now.kind.value;
    const axis = (side === "query" ? now.queries : now.keys).value;
    const tokens = side === "query" ? kind.queries : (kind.keys ?? kind.queries);
    const flow = flowOf(axis, tokens.gaps);
    const single = kind.keys === null;
    const spans = synced.spans.value.filter((span) => single || (span.side ?? "key") === side);
    const made = { axis, flow, groupings: groupingsOf(axis, tokens, flow, spans) };
    this.#prepared.set(side, made);
    return made;
  }

  /** The passages a side is grouped by. */
  grouping(side: Side): { name: Grouping | null; passages: Passage[] } {
    const { groupings } = this.of(side);
    const wish = this.context.state.synced.group_by.value;
    const [first] = groupings;
    const name =
      wish === "auto" ? (first?.[0] ?? null) : groupings.has(wish as Grouping) ? (wish as Grouping) : null;
    const passages = (name && groupings.get(name)) || [];
    // One sentence is the whole text.
    return name === "sentence" && passages.length < 2 && wish === "auto"
      ? { name: null, passages: [] }
      : { name, passages };
  }

  /** What a pane is to show; the same object as long as it is the same text. */
  forPane(side: Side, sections: readonly Section[]): PaneText {
    const { axis, flow } = this.of(side);
    const known = this.#kept.get(side);
    if (known && known.axis === axis && known.flow === flow && known.sections === sections) return known;
    const none = sections.length === 0 && known?.sections.length === 0;
    const kept = { axis, flow, sections: none ? known.sections : sections };
    this.#kept.set(side, kept);
    return kept;
  }
}
