import { el } from "../dom.js";

export function select(
  label: string,
  options: readonly (readonly [value: string, text: string])[],
  change: (value: string) => void,
): { element: HTMLElement; field: HTMLSelectElement } {
  const field = el("select", { "aria-label": label });
  setOptions(field, options);
  field.addEventListener("change", () => change(field.value));
  return { element: el("label", { class: "field" }, el("span", {}, label), field), field };
}

export function setOptions(field: HTMLSelectElement, options: readonly (readonly [string, string])[]): void {
  const now = [...field.options].map((option) => `${option.value}\u0000${option.text}`).join("\u0001");
  if (now === options.map(([value, text]) => `${value}\u0000${text}`).join("\u0001")) return;
  const { value } = field;
  field.replaceChildren(...options.map(([name, text]) => el("option", { value: name }, text)));
  field.value = value;
}

export function checkbox(
  label: string,
  change: (on: boolean) => void,
): { element: HTMLElement; field: HTMLInputElement } {
  const field = el("input", { type: "checkbox" });
  field.addEventListener("change", () => change(field.checked));
  return { element: el("label", { class: "check" }, field, el("span", {}, label)), field };
}
