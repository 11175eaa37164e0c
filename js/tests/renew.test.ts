// @vitest-environment jsdom
import { describe, expect, it } from "vitest";
import { button, el } from "../src/dom.js";
import { renew } from "../src/renew.js";

const list = (...children: HTMLElement[]) => {
  const node = el("div", {}, ...children);
  document.body.replaceChildren(node);
  return node;
};
const names = (node: HTMLElement) => [...node.children].map(({ textContent }) => textContent);

describe("new children", () => {
  it("change elements in place: attributes, style and text, at every depth", () => {
    const node = list(el("p", { class: "a", title: "gone" }, el("b", {}, "1")));
    const [paragraph, bold] = [node.firstChild, node.querySelector("b")];
    const fresh = el("p", { class: "b" }, el("b", {}, "2"), " more");
    fresh.style.setProperty("--ink", "red");
    renew(node, [fresh]);
    expect(node.firstChild).toBe(paragraph);
    expect(node.querySelector("b")).toBe(bold);
    expect(node.innerHTML).toBe('<p class="b" style="--ink: red;"><b>2</b> more</p>');
  });

  it("leave what is alike untouched", async () => {
    const node = list(el("p", { class: "a" }, "same"));
    let changes = 0;
    new MutationObserver((all) => {
      changes += all.length;
    }).observe(node, { childList: true, subtree: true, attributes: true, characterData: true });
    renew(node, [el("p", { class: "a" }, "same")]);
    await Promise.resolve();
    expect(changes).toBe(0);
  });

  it("never hand the listener of one to another", () => {
    const said: string[] = [];
    const make = (name: string) => button({ "data-for": name }, () => said.push(name), name);
    const node = list(make("a"), make("b"), make("c"));
    const [a, , c] = [...node.children];
    renew(node, ["c", "a", "d"].map(make));
    expect(names(node)).toEqual(["c", "a", "d"]);
    expect([...node.children].slice(0, 2)).toEqual([c, a]);
    for (const child of node.children) (child as HTMLElement).click();
    expect(said).toEqual(["c", "a", "d"]);
  });

  it("leave the focus where it is, also on what moves", () => {
    const make = (name: string) => button({ "data-for": name }, () => {}, name);
    const node = list(make("a"), make("b"), make("c"));
    (node.children[2] as HTMLElement).focus();
    renew(node, ["c", "b"].map(make));
    expect(document.activeElement?.textContent).toBe("c");
    renew(node, ["b", "c"].map(make));
    expect(document.activeElement?.textContent).toBe("c");
  });

  it("keep elements without a key apart from those with one", () => {
    const make = (name: string) => button({ "data-for": name }, () => {}, name);
    const node = list(el("span", {}, "first"), make("a"), el("span", {}, "last"));
    const [first] = [...node.children];
    renew(node, [el("span", {}, "top"), make("b"), make("a"), el("span", {}, "end")]);
    expect(names(node)).toEqual(["top", "b", "a", "end"]);
    expect(node.firstChild).toBe(first);
  });
});
