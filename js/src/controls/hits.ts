import { signal } from "@preact/signals-core";
import { topPositions } from "../attention/strength.js";
import type { Context } from "../context.js";
import { button, el, listenTo, setStyle, setText, watch } from "../dom.js";
import { shortHeadName, spokenHeadName } from "../headname.js";
import type { Head, HeadsRequest, KindInfo, PairRequest } from "../protocol.js";
import { renew } from "../renew.js";
import { sameHead } from "../state.js";
import { fixed, spoken } from "../text.js";
import { Asked } from "../views/asked.js";
import { type Hit, hitsOf } from "./links.js";
import { selectHead } from "./selection.js";
import { MOST_UNASKED, weightsOf } from "./work.js";

const unasked = (kind: KindInfo) => weightsOf(kind) <= MOST_UNASKED;
const FEW = 5;
const MANY = 20;

/** The heads that link the two pinned tokens most, and how good that is beside any other two tokens. */
export function makeHits(context: Context): HTMLElement {
  const { state, source, life } = context;
  const pair = new Asked<PairRequest>(context);
  const levels = new Asked<HeadsRequest>(context);
  const rows = signal(0);
  const wished = signal(false);
  const many = signal(false);
  const title = el("summary", {});
  const list = el("ol", { class: "hits" });
  const note = el("p", { class: "hint" });
  const more = button({ class: "small" }, () => {
    many.value = !many.peek();
  });
  const chance = button({ class: "small" }, () => {
    wished.value = true;
  });
  const buttons = el("div", { class: "hits-more" }, more, chance);
  const head = el(
    "div",
    { class: "hits-head", "aria-hidden": "true" },
    ...["head", "", "weight", "rank", "chance"].map((name) => el("span", {}, name)),
  );
  const element = el("details", { class: "hits-fold", open: true }, title, head, list, note, buttons);

  const question = () => {
    const { query, key } = state.synced;
    const kind = state.now.kind.value;
    return query.value === null || key.value === null ? null : { kind, query: query.value, key: key.value };
  };
  watch(life, () => {
    const asked = question();
    element.hidden = !asked;
    pair.ask(asked && { type: "pair", kind: asked.kind.kind, query: asked.query, key: asked.key });
    const wanted = asked && (wished.value || unasked(asked.kind));
    levels.ask(wanted ? { type: "links", kind: asked.kind.kind } : null);
  });
  watch(life, () => {
    const answer = pair.answer.value;
    if (!answer) return;
    const kind = state.now.kind.peek();
    if (answer.request.kind !== kind.kind) return;
    const heads = top(kind, answer.reply.data, answer.reply.shape[1] ?? 0, MANY);
    source.weights(rowOf(kind, answer.request.query), heads, life).then(
      () => {
        rows.value = rows.peek() + 1;
      },
      () => {},
    );
  });
  watch(life, () => {
    void rows.value;
    const answer = pair.answer.value;
    const asked = question();
    if (!answer || !asked || answer.request.kind !== asked.kind.kind) return list.replaceChildren();
    const { query, key } = answer.request;
    const shown = top(asked.kind, answer.reply.data, answer.reply.shape[1] ?? 0, many.value ? MANY : FEW);
    const block = rowOf(asked.kind, query);
    const hits = hitsOf({
      kind: asked.kind,
      heads: shown,
      weights: answer.reply,
      pair: [query, key],
      rowOf: (head) => source.peek(block, head),
      levels: levels.answer.value?.reply ?? null,
    });
    const from = spoken(asked.kind.queries.text[query] ?? "");
    const to = spoken((asked.kind.keys ?? asked.kind.queries).text[key] ?? "");
    setText(title, hits.length > 0 ? `Heads for ${from} → ${to}` : `No head can link ${from} to ${to}`);
    const chosen = state.now.heads.value;
    renew(
      list,
      hits.map((hit) => item(context, hit, chosen)),
    );
    const total = asked.kind.heads.reduce((sum, count) => sum + count, 0);
    setText(more, many.value ? "fewer" : "more");
    more.hidden = shown.length < FEW || total <= FEW;
    const known = levels.answer.value !== null;
    chance.hidden = known || wished.value || unasked(asked.kind);
    setText(chance, "compare with chance");
    setText(note, noteOf(hits, total, known));
    note.hidden = head.hidden = hits.length === 0;
  });
  listenTo(element, life)("keydown", (event) => {
    if (event.target === title) event.stopPropagation();
  });
  return element;
}

const rowOf = (kind: KindInfo, query: number) => ({
  kind: kind.kind,
  measure: "weights",
  queries: [query, query + 1] as const,
  keys: [0, (kind.keys ?? kind.queries).text.length] as const,
});

function top({ layers }: KindInfo, data: Float32Array, most: number, count: number): Head[] {
  return topPositions(data, count).map((at): Head => [layers[Math.floor(at / most)] as number, at % most]);
}

function noteOf(hits: readonly Hit[], total: number, known: boolean): string {
  const best = hits[0];
  if (!best) return "";
  if (!known || best.asGood === null) return `A search over ${total} heads always finds some.`;
  return `Chance: of all other pairs of tokens, those whose best head links them as much. A search over ${total} heads always finds some.`;
}

function item({ state }: Context, hit: Hit, chosen: readonly Head[]): HTMLElement {
  const [layer, head] = hit.head;
  const rank = hit.rank === null ? "…" : `#${hit.rank}`;
  const share = hit.asGood === null ? "" : percent(hit.asGood);
  const label = [
    `${spokenHeadName(state.now.kind.value, hit.head)}: weight ${fixed(hit.weight)}`,
    hit.rank === null ? "" : `rank ${hit.rank} in the row`,
    hit.asGood === null ? "" : `${share} of other pairs do as well`,
  ];
  const bar = el("span", { class: "bar", "aria-hidden": "true" }, el("i"));
  setStyle(bar.firstElementChild as HTMLElement, "width", `${(100 * hit.weight).toFixed(1)}%`);
  const select = button(
    {
      "aria-label": label.filter(Boolean).join(", "),
      "aria-pressed": String(chosen.some((one) => sameHead(one, hit.head))),
      "data-hit": `${layer}.${head}`,
    },
    () => {},
    el("span", {}, shortHeadName(state.now.kind.value, hit.head)),
    bar,
    el("span", { class: "number", "data-weight": String(hit.weight) }, fixed(hit.weight)),
    el("span", { class: "number", "data-rank": hit.rank ?? undefined }, rank),
    el("span", { class: "number", "data-share": hit.asGood ?? undefined }, share),
  );
  select.addEventListener("click", (event) => {
    selectHead(state, hit.head, event.shiftKey || event.ctrlKey || event.metaKey);
  });
  return el("li", { "data-for": hit.head.join(".") }, select);
}

const percent = (share: number) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
