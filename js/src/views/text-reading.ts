import type { Context } from "../context.js";
import type { Subject } from "../controls/subject.js";
import type { Side } from "../state.js";

export const other = (side: Side): Side => (side === "query" ? "key" : "query");

/** Which way the text is read: from a query to its keys or back, and of which tokens. */
export class Reading {
  hovered: { side: Side; unit: number } | null = null;
  /** The direction wished for; what is pinned on one side only decides by itself. */
  #wish: Side = "query";

  constructor(readonly context: Context) {}

  /** Queries and keys are the same text. */
  get single(): boolean {
    return this.context.state.now.kind.value.keys === null;
  }

  get sides(): readonly Side[] {
    return this.single ? ["query"] : ["query", "key"];
  }

  get direction(): Side {
    const { query, key } = this.context.state.now;
    if ((query.value === null) === (key.value === null)) return this.#wish;
    return query.value === null ? "key" : "query";
  }

  get colored(): Side {
    return this.single ? "query" : other(this.direction);
  }

  subject(): Subject | null {
    const { now, page } = this.context.state;
    const side = this.direction;
    const pinned = now.pinned[side].value;
    const hover = side === "query" ? page.hoverQuery.value : page.hoverKey.value;
    const hovered = hover === null || (this.single && pinned.length > 0) ? null : hover;
    const units = hovered === null ? pinned : [hovered];
    const [unit] = units;
    if (unit === undefined) return null;
    return { side, unit, units, pinned: hovered === null, other: null };
  }

  /** In one text the token pointed at is the subject until one is pinned, and then what the pinned one is compared with. */
  hover(side: Side, unit: number | null): void {
    const { page, now } = this.context.state;
    const { direction } = this;
    const here = !this.single ? side : now.pinned[direction].value.length > 0 ? other(direction) : direction;
    const [mine, theirs] =
      here === "query" ? [page.hoverQuery, page.hoverKey] : [page.hoverKey, page.hoverQuery];
    this.hovered = unit === null ? null : { side, unit };
    mine.value = unit;
    theirs.value = null;
    if (unit === null) this.context.tooltip.hide();
  }

  turn(side: Side): void {
    const { state } = this.context;
    const { query, key, more_queries, more_keys } = state.synced;
    this.#wish = side;
    const [q, k] = [query.value, key.value];
    const oneSided = (q === null) !== (k === null);
    if (!oneSided || side === (q === null ? "key" : "query")) return;
    state.set(
      this.single
        ? { query: k, key: q, more_queries: more_keys.value, more_keys: more_queries.value }
        : { query: null, key: null, more_queries: [], more_keys: [] },
    );
  }
}
