import { messageOf } from "./basics.js";
import { mount } from "./page.js";
import { fromBase64, inflate } from "./source/inflate.js";
import { readPack } from "./source/pack.js";
import { StoredChannel } from "./source/stored.js";
import { CachedSource } from "./source.js";
import { State, TRAITS } from "./state.js";

function say(root: HTMLElement, text: string): void {
  const line = document.createElement("p");
  line.setAttribute("role", "alert");
  line.className = "attnscope-message";
  line.textContent = text;
  root.replaceChildren(line);
}

async function start(): Promise<void> {
  const root = document.getElementById("attnscope-root");
  if (!root) return;
  try {
    const text = document.getElementById("attnscope-data")?.textContent ?? "";
    if (text.trim() === "") throw new Error("The page carries no data.");
    const pack = readPack(await inflate(fromBase64(text.trim())));
    const initial = Object.fromEntries(TRAITS.map((name) => [name, pack.state[name]]));
    const source = new CachedSource(new StoredChannel(pack), pack.seeds);
    mount(root, new State(pack.capture, initial), source, new AbortController().signal, { fill: true });
  } catch (error) {
    const reason = messageOf(error);
    say(root, `This page cannot be shown; it may have been cut off or changed. ${reason}`);
  }
}

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
else void start();
