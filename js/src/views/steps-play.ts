import { type Signal, signal } from "@preact/signals-core";
import { isOwn, OWN, type Play } from "../attention/steps.js";
import { clamp } from "../basics.js";
import type { Context } from "../context.js";
import { checkbox } from "../controls/fields.js";
import { button, el, setAttribute, setText, watch } from "../dom.js";

const LEAST = -130;
const MOST = 100;

/** The slider's place → temperature: 0.05 to 10, a hundred steps for a factor of ten. */
export const temperatureAt = (place: number): number => (place === 0 ? 1 : 10 ** (place / 100));

export interface PlayBar {
  element: HTMLElement;
  /** Says that the numbers are not the model's; apart, so that the slider stays where it is while it is drawn. */
  sign: HTMLElement;
  play: Signal<Play>;
  /** Says what can be played with here: the scale, or null where there is none. */
  allow(scale: number | null): void;
}

/** Temperature and 1/√d, which belong to the page and change nothing of the capture. */
export function makePlayBar({ life }: Context): PlayBar {
  const play = signal<Play>(OWN);
  const slider = el("input", {
    type: "range",
    min: LEAST,
    max: MOST,
    step: 1,
    value: 0,
    "aria-label": "Temperature",
  });
  const number = el("output", { class: "number" });
  const scale = checkbox("1/√d", (on) => {
    play.value = { ...play.value, scaled: on };
  });
  slider.addEventListener("input", () => {
    const temperature = temperatureAt(clamp(Number(slider.value), LEAST, MOST));
    play.value = { ...play.value, temperature };
  });
  const reset = button(
    { class: "small" },
    () => {
      play.value = OWN;
      slider.value = "0";
    },
    "reset",
  );
  const sign = el("span", { class: "play-sign", role: "status" });
  watch(life, () => {
    const { temperature, scaled } = play.value;
    const own = isOwn(play.value);
    setText(number, temperature.toFixed(2));
    setAttribute(slider, "aria-valuetext", temperature.toFixed(2));
    scale.field.checked = scaled;
    reset.disabled = own;
    setText(sign, own ? "" : "not the model's own numbers");
    sign.hidden = own;
  });
  const element = el(
    "div",
    { class: "play", role: "group", "aria-label": "Play with the softmax" },
    el("label", { class: "field" }, el("span", {}, "temperature"), slider, number),
    scale.element,
    reset,
  );
  return {
    element,
    sign,
    play,
    allow(found) {
      const fixed = found === null || found === 1;
      scale.field.disabled = fixed;
      setAttribute(
        scale.element,
        "title",
        found === null
          ? "Scores were not kept, so they cannot be unscaled."
          : found === 1
            ? "This model does not scale its scores."
            : `Multiply q·k by ${found.toPrecision(4)}`,
      );
      if (fixed && !play.peek().scaled) play.value = { ...play.peek(), scaled: true };
    },
  };
}
