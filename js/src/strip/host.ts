import { startPage } from "../start.js";
import { readStrips } from "./data.js";
import { mountStrip } from "./page.js";
import { StripState } from "./state.js";

startPage((root, data) => {
  const strips = readStrips(data);
  mountStrip(root, new StripState(strips, strips.state), new AbortController().signal, true);
});
