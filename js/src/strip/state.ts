import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import { DARK, LIGHT, type Palette } from "../draw/palette.js";
import { isCount } from "../protocol-check.js";
import type { Strip, Strips } from "./data.js";

/** What Python sees too. */
export interface Choices {
  /** Which text. */
  choice: number;
  /** The pinned token. */
  token: number | null;
  theme: "auto" | "light" | "dark";
  height: number;
}

export const TRAITS = ["choice", "token", "theme", "height"] as const;

/** What is shown and pinned. */
export class StripState {
  readonly chosen: { readonly [Name in keyof Choices]: Signal<Choices[Name]> };
  readonly dark = signal(false);
  readonly palette: ReadonlySignal<Palette> = computed(() => (this.dark.value ? DARK : LIGHT));
  readonly hovered = signal<number | null>(null);
  readonly strip: ReadonlySignal<Strip>;
  /** The token the page speaks of: the one pointed at, or the one pinned. */
  readonly subject: ReadonlySignal<number | null>;

  constructor(
    readonly strips: Strips,
    initial: Record<string, unknown>,
    readonly publish: (patch: Partial<Choices>) => void = () => {},
  ) {
    this.chosen = {
      choice: signal(0),
      token: signal(null),
      theme: signal("auto"),
      height: signal(360),
    };
    for (const name of TRAITS) this.receive(name, initial[name]);
    this.strip = computed(() => strips.strips[this.chosen.choice.value] as Strip);
    this.subject = computed(() => this.hovered.value ?? this.chosen.token.value);
  }

  set(patch: Partial<Choices>): void {
    for (const name of TRAITS) if (name in patch) this.receive(name, patch[name]);
    this.publish(patch);
  }

  /** Takes what Python says, where it fits. */
  receive(name: string, value: unknown): void {
    const { strips } = this.strips;
    if (name === "choice" && isCount(value) && value < strips.length) this.chosen.choice.value = value;
    if (name === "token") {
      const length = strips[this.chosen.choice.peek()]?.logprobs.length ?? 0;
      this.chosen.token.value = isCount(value) && value < length ? value : null;
    }
    if (name === "theme" && (value === "auto" || value === "light" || value === "dark"))
      this.chosen.theme.value = value;
    if (name === "height" && isCount(value)) this.chosen.height.value = value;
  }

  pin(token: number | null): void {
    this.set({ token });
  }

  show(choice: number): void {
    this.hovered.value = null;
    this.set({ token: null, choice });
  }
}
