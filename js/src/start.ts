import { messageOf } from "./basics.js";
import { fromBase64, inflate } from "./source/inflate.js";

function say(root: HTMLElement, text: string): void {
  const line = document.createElement("p");
  line.setAttribute("role", "alert");
  line.className = "attnscope-message";
  line.textContent = text;
  root.replaceChildren(line);
}

/** Shows what a page of its own carries, as soon as that is there, or says why it cannot be. */
export function startPage(show: (root: HTMLElement, data: Uint8Array<ArrayBuffer>) => void): void {
  const start = async () => {
    const root = document.getElementById("attnscope-root");
    if (!root) return;
    try {
      const text = document.getElementById("attnscope-data")?.textContent ?? "";
      if (text.trim() === "") throw new Error("The page carries no data.");
      show(root, await inflate(fromBase64(text.trim())));
    } catch (error) {
      const reason = messageOf(error);
      say(root, `This page cannot be shown; it may have been cut off or changed. ${reason}`);
    }
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else void start();
}
