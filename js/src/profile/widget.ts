import { signal } from "@preact/signals-core";
import { atEnd, givenUp, messageOf } from "../basics.js";
import { button, el, setAttribute, watch } from "../dom.js";
import { follow, type Model, portOf } from "../model.js";
import { inflate } from "../source/inflate.js";
import { KernelChannel } from "../source/kernel.js";
import { standForIt } from "../source/notebook.js";
import { storedBytes } from "../source/saved.js";
import { hostIsDark } from "../theme.js";
import { readProfile } from "./data.js";
import { mountProfile } from "./page.js";
import { type Patch, ProfileState, TRAITS } from "./state.js";

/** The part of anywidget's host that shows one widget inside another. */
interface Host {
  getWidget(
    reference: unknown,
  ): Promise<{ render(view: { el: HTMLElement; signal?: AbortSignal }): unknown }>;
}

interface Rendering {
  model: Model;
  el: HTMLElement;
  signal?: AbortSignal;
  host?: Host;
}

function render({ model, el: place, signal: given, host }: Rendering): () => void {
  const end = new AbortController();
  const life = given ? AbortSignal.any([given, end.signal]) : end.signal;
  show(model, place, host, life).catch((error: unknown) => {
    if (!life.aborted) place.textContent = messageOf(error);
  });
  standForIt(place, model.get("_mark"), life);
  return () => end.abort(givenUp("The view was removed."));
}

async function show(
  model: Model,
  place: HTMLElement,
  host: Host | undefined,
  life: AbortSignal,
): Promise<void> {
  const isAlone = place.classList.contains("jupyter-widgets-disconnected");
  const bytes = storedBytes(model.get("_pack"));
  const profile = readProfile(await inflate([bytes.slice()].values()));
  if (life.aborted) return;
  const channel = isAlone ? null : new KernelChannel(portOf(model), life);
  const publish = (patch: Patch) => {
    for (const [name, value] of Object.entries(patch)) model.set(name, value);
    Promise.resolve(model.save_changes()).catch(() => {});
  };
  const initial = Object.fromEntries(TRAITS.map((name) => [name, model.get(name)]));
  const state = new ProfileState(profile, initial, publish);
  for (const name of TRAITS)
    follow(model, `change:${name}`, () => state.receive(name, model.get(name)), life);
  if (channel) follow(model, "comm_live_update", () => channel.lose(life), life);

  const heads = el("div");
  const reading = el("div", { class: "attnscope-reading", hidden: true });
  place.replaceChildren(heads, reading);
  /** What is open, where it was opened here. */
  let said = "";
  const opened = signal<unknown>(model.get("opened"));
  follow(
    model,
    "change:opened",
    () => {
      opened.value = model.get("opened");
    },
    life,
  );
  const root = mountProfile(heads, state, life, {
    channel,
    opens: () => model.get("_opens") === true && channel?.status.value === "live" && host !== undefined,
    open: async ({ text }) => {
      const [layer, head] = state.head.peek();
      said = `text ${text} · ${state.label(state.listed.peek())} in layer ${layer}, head ${head}`;
      await channel?.ask({ type: "open", text, statistic: state.listed.peek(), layer, head }, life);
    },
  });
  const about = () => said;
  showOpened(opened, { heads, reading, root }, about, host, state, life, () => {
    said = "";
    opened.value = null;
    if (channel) model.send({ type: "close" });
  });
}

/** A text that is open takes the room of the heads, until the reader goes back. */
function showOpened(
  opened: { value: unknown },
  { heads, reading, root }: { heads: HTMLElement; reading: HTMLElement; root: HTMLElement },
  about: () => string,
  host: Host | undefined,
  state: ProfileState,
  life: AbortSignal,
  close: () => void,
): void {
  let shown: AbortController | null = null;
  atEnd(life, () => shown?.abort(life.reason));
  watch(life, () => {
    const reference = opened.value;
    shown?.abort(givenUp("Another text is open."));
    const isOpen = typeof reference === "string" && reference !== "" && host !== undefined;
    heads.hidden = isOpen;
    reading.hidden = !isOpen;
    reading.replaceChildren();
    if (!isOpen || !host) return;
    shown = new AbortController();
    const { signal: mine } = shown;
    const back = button(
      { class: "back" },
      () => {
        close();
        root.querySelector<HTMLElement>(".texts button")?.focus();
      },
      "‹ Heads",
    );
    const bar = el("div", { class: "attnscope profile-bar" }, back, el("span", {}, about()));
    watch(mine, () => {
      const { theme } = state.frame.synced;
      const dark = theme.value === "auto" ? hostIsDark() : theme.value === "dark";
      setAttribute(bar, "data-theme", dark ? "dark" : "light");
    });
    const inside = el("div");
    reading.replaceChildren(bar, inside);
    back.focus({ preventScroll: true });
    host
      .getWidget(reference)
      .then((widget) => {
        if (!mine.aborted) return widget.render({ el: inside, signal: mine });
      })
      .catch((error: unknown) => {
        if (!mine.aborted) bar.append(el("span", { role: "status" }, messageOf(error)));
      });
  });
}

export default { render };
