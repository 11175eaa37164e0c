import { messageOf } from "../basics.js";
import { el } from "../dom.js";
import { fromBase64, inflate } from "../source/inflate.js";
import { readProfile } from "./data.js";
import { mountProfile } from "./page.js";
import { ProfileState } from "./state.js";

/** A page of its own: what it carries is all there is. */
async function start(): Promise<void> {
  const root = document.getElementById("attnscope-root");
  if (!root) return;
  try {
    const text = document.getElementById("attnscope-data")?.textContent ?? "";
    if (text.trim() === "") throw new Error("The page carries no data.");
    const profile = readProfile(await inflate(fromBase64(text.trim())));
    const state = new ProfileState(profile, profile.state);
    mountProfile(root, state, new AbortController().signal, { fill: true });
  } catch (error) {
    const said = `This page cannot be shown; it may have been cut off or changed. ${messageOf(error)}`;
    root.replaceChildren(el("p", { role: "alert", class: "attnscope-message" }, said));
  }
}

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
else void start();
