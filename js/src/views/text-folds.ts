import type { Section } from "./text-layout.js";
import type { Grouping, Passage } from "./text-passages.js";

/** Which passages are folded away, and what that leaves of a text. */
export class Folds {
  #folded = new Set<number>();
  #sections: readonly Section[] = [];
  #shape = "";

  get all(): ReadonlySet<number> {
    return this.#folded;
  }

  isFull(passages: readonly Passage[]): boolean {
    return passages.length > 0 && this.#folded.size === passages.length;
  }

  fold(passage: number, folded = !this.#folded.has(passage)): void {
    if (folded) this.#folded.add(passage);
    else this.#folded.delete(passage);
    this.#shape = "";
  }

  foldAll(passages: readonly Passage[]): void {
    this.#folded = new Set(this.isFull(passages) ? [] : passages.keys());
    this.#shape = "";
  }

  /** Forgets what was folded where there are no longer as many passages. */
  fit(passages: readonly Passage[]): void {
    if ([...this.#folded].some((passage) => passage >= passages.length)) this.#folded.clear();
  }

  /** The parts of the text with a line of their own above them; sentences have one only when folded. */
  sections(name: Grouping | null, passages: readonly Passage[]): readonly Section[] {
    const shape = `${name}|${[...this.#folded].join()}|${passages.length}`;
    if (shape === this.#shape) return this.#sections;
    this.#shape = shape;
    let end = 0;
    const sections: Section[] = [];
    passages.forEach(({ from, to }, passage) => {
      const folded = this.#folded.has(passage);
      if (from < end || to <= from || !(folded || name !== "sentence")) return;
      sections.push({ from, to, passage, folded });
      end = to;
    });
    this.#sections = sections;
    return sections;
  }
}
