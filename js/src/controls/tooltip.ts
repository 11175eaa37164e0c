import type { Tooltip } from "../context.js";
import { el, setStyle, setText } from "../dom.js";

/** One label that floats beside whatever is pointed at, kept inside the frame. */
export function makeTooltip(root: HTMLElement): Tooltip {
  const node = el("div", { class: "tooltip", role: "tooltip", hidden: true });
  root.append(node);
  return {
    show(text, near) {
      setText(node, text);
      node.hidden = false;
      const frame = root.getBoundingClientRect();
      const { width, height } = node.getBoundingClientRect();
      const x = Math.min(
        frame.width - width - 6,
        Math.max(6, near.left + near.width / 2 - width / 2 - frame.left),
      );
      const above = near.top - frame.top - height - 6;
      const y = above >= 4 ? above : near.bottom - frame.top + 6;
      setStyle(node, "transform", `translate(${Math.round(x)}px, ${Math.round(y)}px)`);
    },
    hide() {
      node.hidden = true;
    },
  };
}
