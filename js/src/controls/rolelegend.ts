import { type Signal, signal } from "@preact/signals-core";
import { type Ground, paletteOf } from "../context.js";
import { button, el, setStyle, watch } from "../dom.js";
import { css, inkOn } from "../draw/palette.js";
import { renew } from "../renew.js";
import type { HeadValues } from "./headvalues.js";
import { inOrder, type Role, roleColor, roleLabel } from "./roles.js";

/** What the colours and signs of roles stand for; pressing one leaves only its heads in colour. */
export function makeRoleLegend(
  context: Ground,
  values: HeadValues,
): { element: HTMLElement; only: Signal<string | null> } {
  const { state, life } = context;
  const only = signal<string | null>(null);
  const element = el("div", { class: "role-legend", role: "group", "aria-label": "Roles" });
  watch(life, () => {
    void values.version.value;
    if (values.question.value.name !== "role") only.value = null;
    const byRole = values.byRole;
    element.hidden = !byRole;
    if (!byRole) return;
    const palette = paletteOf(state);
    const { counts, signs, without } = count(context, values);
    const entries = inOrder(counts.keys()).map((name) => {
      const color = roleColor(palette, name);
      const sign = el("i", { "aria-hidden": "true" }, signs.get(name) ?? "");
      setStyle(sign, "background-color", css(color));
      setStyle(sign, "color", inkOn(color));
      const heads = counts.get(name) as number;
      return button(
        { "aria-pressed": String(only.value === name), "data-role": name, "data-for": name },
        () => {
          only.value = only.peek() === name ? null : name;
        },
        sign,
        `${roleLabel(name)} ${heads}`,
      );
    });
    const rest = el("span", {}, `${without} without a clear role`);
    renew(element, [...entries, ...(without > 0 ? [rest] : [])]);
  });
  return { element, only };
}

function count({ state }: Ground, values: HeadValues) {
  const counts = new Map<string, number>();
  const signs = new Map<string, string>();
  let without = 0;
  state.now.kind.value.heads.forEach((heads, layer) => {
    for (let head = 0; head < heads; head++) {
      const role: Role | null | undefined = values.roleAt(layer, head);
      if (role) {
        counts.set(role.name, (counts.get(role.name) ?? 0) + 1);
        signs.set(role.name, role.sign);
      } else if (role === null) without += 1;
    }
  });
  return { counts, signs, without };
}
