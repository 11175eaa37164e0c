import { el } from "../dom.js";
import { fixed } from "../text.js";

export interface FlowTable {
  element: HTMLElement;
  paint(
    rows: readonly (readonly [token: number, name: string])[],
    columns: readonly string[],
    value: (token: number, column: number) => number,
  ): void;
}

/** The same numbers as a table. */
export function makeFlowTable(): FlowTable {
  const element = el("div", {
    class: "flow-table",
    hidden: true,
    tabindex: 0,
    role: "region",
    "aria-label": "The same numbers as a table",
  });
  let of: unknown;
  return {
    element,
    paint(rows, columns, value) {
      const name = JSON.stringify([rows.length, columns]);
      if (of === value && element.dataset.of === name) return;
      of = value;
      element.dataset.of = name;
      const head = el(
        "tr",
        {},
        el("th", { scope: "col" }, "token"),
        ...columns.map((text) => el("th", { scope: "col" }, text)),
      );
      const body = rows.map(([token, text]) =>
        el(
          "tr",
          {},
          el("th", { scope: "row" }, el("bdi", {}, text), el("small", {}, ` ${token}`)),
          ...columns.map((_, column) => {
            const number = value(token, column);
            const exact = Number.isNaN(number) ? undefined : String(number);
            return el(
              "td",
              { "data-weight": exact, "data-token": token, "data-column": column },
              fixed(number),
            );
          }),
        ),
      );
      element.replaceChildren(el("table", {}, el("thead", {}, head), el("tbody", {}, ...body)));
    },
  };
}
