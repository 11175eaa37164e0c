// @vitest-environment jsdom
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { hostIsDark } from "../src/theme.js";

const { body, documentElement: html } = document;

beforeEach(() => {
  vi.stubGlobal("matchMedia", () => ({ matches: false }));
});

afterEach(() => {
  vi.unstubAllGlobals();
  for (const node of [body, html]) for (const name of node.getAttributeNames()) node.removeAttribute(name);
});

it.each([
  ["JupyterLab, Notebook and Voila", body, "data-jp-theme-light", "false", "true"],
  ["VS Code", body, "class", "vscode-dark", "vscode-light"],
  ["VS Code with high contrast", body, "class", "vscode-high-contrast", "vscode-high-contrast-light"],
  ["marimo", body, "class", "dark dark-theme", "light light-theme"],
  ["Colab", html, "theme", "dark", "light"],
  ["pages of documentation", html, "data-theme", "dark", "light"],
])("knows the theme of %s", (_, node, name, dark, light) => {
  node.setAttribute(name, dark);
  expect(hostIsDark()).toBe(true);
  node.setAttribute(name, light);
  expect(hostIsDark()).toBe(false);
});

it("asks the system where the host gives no sign", () => {
  expect(hostIsDark()).toBe(false);
  vi.stubGlobal("matchMedia", () => ({ matches: true }));
  expect(hostIsDark()).toBe(true);
  html.setAttribute("data-theme", "auto");
  expect(hostIsDark()).toBe(true);
});

it("lets a light host be light on a dark system", () => {
  vi.stubGlobal("matchMedia", () => ({ matches: true }));
  html.setAttribute("theme", "light");
  expect(hostIsDark()).toBe(false);
});
