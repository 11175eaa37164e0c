import { afterEach, beforeEach, vi } from "vitest";

/** Gives each test what jsdom lacks of a browser: sizes that never change, no dark mode, canvases without a pen. */
export function standIn(): void {
  beforeEach(() => {
    vi.stubGlobal(
      "ResizeObserver",
      class {
        observe() {}
        disconnect() {}
      },
    );
    vi.stubGlobal("matchMedia", () => new EventTarget());
    HTMLCanvasElement.prototype.getContext = () => null;
  });
  afterEach(() => {
    document.body.replaceChildren();
    vi.unstubAllGlobals();
  });
}
