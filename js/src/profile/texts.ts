import { signal } from "@preact/signals-core";
import { givenUp, messageOf } from "../basics.js";
import { inkOf } from "../context.js";
import { roleLabel } from "../controls/roles.js";
import { seriesOf } from "../data.js";
import { button, el, setStyle, watch } from "../dom.js";
import { css } from "../draw/palette.js";
import { headName } from "../headname.js";
import { isCounts, isObject } from "../protocol-check.js";
import { renew } from "../renew.js";
import { fixed, shown } from "../text.js";
import type { ProfileContext } from "./context.js";
import { type Hit, placeOf } from "./data.js";
import { said } from "./values.js";

interface Found {
  of: string;
  hits: readonly (Hit & { snippet?: string })[];
  error?: string;
}

/** What is known of the head selected last, and the texts in which it shows most of a statistic. */
export function makeTexts(context: ProfileContext, open: (hit: Hit, from: HTMLElement) => void): HTMLElement {
  const { profile: state, channel, life, opens, scheduler } = context;
  const { profile, chosen, frame } = state;
  const kind = frame.now.kind.value;
  const found = signal<Found | null>(null);
  const told = signal<string>("");
  let asking: AbortController | null = null;

  watch(life, () => {
    const head = state.head.value;
    const statistic = state.listed.value;
    const of = `${statistic} ${head.join(".")}`;
    asking?.abort(givenUp());
    told.value = "";
    const stored = profile.strongest(statistic, placeOf(profile, head));
    const known = (hits: readonly Hit[]) =>
      hits.map((hit) => {
        const snippet = profile.snippet(hit.text);
        return { ...hit, ...(snippet !== undefined && { snippet }) };
      });
    const isWhole = stored?.every(({ text }) => profile.snippet(text) !== undefined);
    if (stored) found.value = { of, hits: known(stored) };
    if (isWhole || !channel) {
      if (!stored)
        found.value = { of, hits: [], error: "These texts are not stored here; run the cell to see them." };
      return;
    }
    asking = new AbortController();
    const { signal: wanted } = asking;
    scheduler.pending.value = scheduler.pending.peek() + 1;
    const [layer, number] = head;
    channel
      .ask({ type: "strongest", statistic, layer, head: number }, wanted)
      .then(({ data, info }) => {
        const texts = isCounts(info?.texts) ? info.texts : [];
        const snippets = isObject(info?.snippets) ? info.snippets : {};
        const hits = texts.map((text, at) => {
          const snippet = snippets[String(text)];
          return { text, value: data[at] as number, ...(typeof snippet === "string" && { snippet }) };
        });
        if (!wanted.aborted) found.value = { of, hits };
      })
      .catch((error: unknown) => {
        if (!wanted.aborted && !stored) found.value = { of, hits: [], error: messageOf(error) };
      })
      .finally(() => {
        scheduler.pending.value = scheduler.pending.peek() - 1;
      });
  });

  const title = el("h2", { class: "head-title" });
  const roles = el("p", { class: "head-roles" });
  const numbers = el("table", { class: "head-numbers" });
  const heading = el("h3");
  const list = el("ol", { class: "texts" });
  const note = el("p", { class: "hint", role: "status" });
  const code = el("code", { class: "call" });

  watch(life, () => {
    const head = state.head.value;
    const selected = frame.now.heads.value;
    const series = seriesOf(kind, selected, "none");
    void frame.page.dark.value;
    setStyle(title, "color", css(inkOf({ state: frame }, series, selected.length - 1)));
    const more = selected.length > 1 ? ` (the last of ${selected.length} selected)` : "";
    renew(title, [headName(kind, head), ...(more ? [el("small", {}, more)] : [])]);
    const at = placeOf(profile, head);
    const fires = profile.roles.filter((role) => profile.fires(role, at));
    renew(
      roles,
      fires.length > 0
        ? fires.map((role) => el("span", { class: "badge" }, roleLabel(role)))
        : ["no clear role"],
    );
    const names = new Set([state.listed.value, chosen.x.value, chosen.y.value]);
    const isByTexts = chosen.by.value === "texts";
    renew(numbers, [
      el(
        "tr",
        {},
        ...["", "mean", isByTexts ? "± error" : "spread", "chance"].map((text) =>
          text ? el("th", { scope: "col" }, text) : el("td"),
        ),
      ),
      ...[...names].map((name) => {
        const { value, chance, spread, error } = said(state, name, head);
        const cell = (number: number, what: string) =>
          el(
            "td",
            {
              "data-weight": Number.isNaN(number) ? undefined : String(number),
              "data-what": what,
              class: "number",
            },
            Number.isNaN(number) ? "–" : fixed(number, 3),
          );
        const about = profile.statistics.find((one) => one.name === name);
        return el(
          "tr",
          { "data-statistic": name },
          el("th", { scope: "row", title: about?.says }, state.label(name)),
          cell(value, "mean"),
          isByTexts ? cell(error, "error") : cell(spread, "spread"),
          cell(chance, "chance"),
        );
      }),
    ]);
  });
  watch(life, () => {
    const now = found.value;
    renew(heading, [`Texts with most ${state.label(state.listed.value)}`]);
    note.textContent = now?.error ?? "";
    if (now && !now.error && now.hits.length === 0) note.textContent = "No text shows it in this head.";
    note.hidden = note.textContent === "";
    const most = Math.max(1e-9, ...(now?.hits ?? []).map(({ value }) => Math.abs(value)));
    renew(
      list,
      (now?.hits ?? []).map((hit) => {
        const text = hit.snippet === undefined ? [] : [el("bdi", {}, shown(hit.snippet))];
        const bar = el("i");
        setStyle(bar, "width", `${(100 * Math.abs(hit.value)) / most}%`);
        const node = button(
          { "data-text": hit.text, title: opens() ? "Open this text" : "How to open this text" },
          () => choose(hit, node),
          el(
            "span",
            { class: "text-head" },
            el("span", { class: "text-name" }, `text ${hit.text}`),
            el("span", { class: "bar" }, bar),
            el("span", { class: "number", "data-weight": String(hit.value) }, fixed(hit.value, 3)),
          ),
          ...text,
        );
        return el("li", { "data-for": `${now?.of} ${hit.text} ${opens()}` }, node);
      }),
    );
  });
  const choose = (hit: Hit, from: HTMLElement) => {
    if (opens()) return open(hit, from);
    const [layer, head] = state.head.peek();
    told.value = `ProfileWidget(profile, texts=texts, model=model, tokenizer=tokenizer).open_text(${hit.text}, ${layer}, ${head})`;
  };
  const how = el(
    "div",
    { class: "how", role: "status", hidden: true },
    "A profile keeps no model. In Python, this opens the text:",
    code,
  );
  watch(life, () => {
    how.hidden = told.value === "";
    code.textContent = told.value;
  });
  return el(
    "div",
    { class: "rail rail-details", role: "region", "aria-label": "Selected head", tabindex: 0 },
    title,
    roles,
    numbers,
    heading,
    note,
    list,
    how,
  );
}
