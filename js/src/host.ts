import { messageOf } from "./basics.js";
import { mount } from "./page.js";
import { readPack } from "./source/pack.js";
import { StoredChannel } from "./source/stored.js";
import { CachedSource } from "./source.js";
import { State, TRAITS } from "./state.js";

async function unpack(text: string): Promise<Uint8Array> {
  const packed = Uint8Array.from(atob(text.trim()), (char) => char.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

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
    const pack = readPack(await unpack(text));
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
