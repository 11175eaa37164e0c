import type { Domain } from "./attention/strength.js";
import { range } from "./basics.js";
import { el, setStyle, setText } from "./dom.js";
import { fixed, words } from "./text.js";

const STEPS = 8;

export interface ColorScale {
  element: HTMLElement;
  paint(color: (strength: number) => string, domain: Domain, what: string, scale: string): void;
}

/** A slim band of colours between the numbers at its ends. */
export function makeColorScale(): ColorScale {
  const [least, ramp, most] = [el("span"), el("i", { class: "ramp" }), el("span")];
  return {
    element: el("div", { class: "color-scale" }, least, ramp, most),
    paint(color, domain, what, scale) {
      const stops = range(0, STEPS + 1).map((at) => color(at / STEPS));
      setStyle(ramp, "background", `linear-gradient(90deg,${stops})`);
      setText(least, fixed(domain.least, 2));
      setText(
        most,
        [fixed(domain.most, 2), words(what), scale === "linear" ? "" : `(${scale})`]
          .filter(Boolean)
          .join(" "),
      );
    },
  };
}
