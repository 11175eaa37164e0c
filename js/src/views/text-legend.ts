import { labelOf } from "../attention/measure.js";
import type { Context } from "../context.js";
import type { Subject } from "../controls/subject.js";
import { el, setText } from "../dom.js";
import { css } from "../draw/palette.js";
import { makeColorScale } from "../scale.js";
import { removedMass } from "./legend.js";
import { addsUp } from "./text-passages.js";
import type { Shade } from "./text-shade.js";

/** What colours and lines stand for, and what is left out. */
export class TextLegend {
  readonly element: HTMLElement;
  readonly #scale = makeColorScale();
  readonly #note = el("span", { class: "legend-note" });

  constructor(readonly context: Context) {
    this.element = el("div", { class: "legend" }, this.#scale.element, this.#note);
  }

  paint(subject: Subject | null, shade: Shade | null): void {
    const { state, data } = this.context;
    const one = shade?.series.length === 1;
    this.#scale.element.hidden = !one;
    if (shade && one) {
      const { least, most } = shade.domain;
      this.#scale.paint(
        (strength) => css(shade.color(least + strength * (most - least))),
        shade.domain,
        labelOf(shade.measure),
        state.synced.color_scale.value,
      );
    }
    const notes: string[] = [];
    if (!subject) notes.push("hover a token to see what it attends to, click to pin it");
    else if (!shade) notes.push("not here yet");
    else if (!one) {
      const { least, most } = shade.domain;
      notes.push(
        `lines: ${labelOf(shade.measure)} from ${least.toFixed(2)} to ${most.toFixed(2)}, strongest thickest`,
      );
    }
    if (shade?.signed) notes.push("dashed where negative");
    if (!addsUp(state.now.measure.value)) notes.push("scores do not add up, so passages have no sums");
    const removed = removedMass(this.context, data.series, subject?.side === "query" ? subject.unit : null);
    if (removed) notes.push(removed);
    setText(this.#note, notes.join(" · "));
  }
}
