"""Whether the widget looks in a host as it does in a page of its own."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from tests.browser.widget import Widget

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.browser.hosts.host import Host

READ = """root => {
  const names = `
    display position color background-color background-image font-family font-size font-weight font-style line-height
    letter-spacing word-spacing text-align text-transform text-decoration-line text-indent white-space overflow-wrap
    vertical-align list-style-type box-sizing border-top-width border-right-width border-bottom-width border-left-width
    border-top-style border-top-color border-top-left-radius padding-top padding-right padding-bottom padding-left
    margin-top margin-bottom opacity float appearance box-shadow outline-style min-height max-width cursor accent-color
    font-variant-numeric font-feature-settings
  `.trim().split(/\\s+/);
  const told = (node, pseudo) => {
    const style = getComputedStyle(node, pseudo);
    if (pseudo?.match(/before|after/) && style.content === "none") return {};
    const told = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(name)]));
    if (told["border-top-width"] === "0px") told["border-top-style"] = told["border-top-color"] = "unseen";
    if (told.appearance === "button") told.appearance = "auto";
    return told;
  };
  return [...root.querySelectorAll(":not(option, .status, .link, .honesty)")].map((node) => {
    const pseudos = ["::before", "::after", ...(node.tagName === "INPUT" ? ["::placeholder"] : [])];
    const styles = Object.fromEntries(pseudos.map((pseudo) => [pseudo, told(node, pseudo)]));
    return { label: `${node.tagName.toLowerCase()}.${node.className}`, styles: { "": told(node), ...styles } };
  });
}"""
"""Left out is what depends on a kernel: its status, what is asked of its model, and the measures it can give."""


def differences(host: Host) -> list[str]:
    """Name what is styled otherwise than in the exported page of the same widget."""
    here = _read(host.widget.root)
    path = host.python.value("__import__('tempfile').mkdtemp()") + "/alone.html"
    host.python.run(f"w.save({path!r})")
    page = host.page.context.new_page()
    page.goto(f"file://{path}")
    alone = _read(Widget.on(page).root)
    page.close()
    made, wanted = ([node["label"] for node in nodes] for nodes in (here, alone))
    if made != wanted:
        return list(difflib.unified_diff(wanted, made, "alone", "here", n=1, lineterm=""))
    return [
        f"{one['label']}{pseudo} {name}: {style[name]}, alone {two['styles'][pseudo].get(name)}"
        for one, two in zip(here, alone, strict=True)
        for pseudo, style in one["styles"].items()
        for name in style
        if style[name] != two["styles"][pseudo].get(name)
    ]


def _read(root: Locator) -> list[dict[str, Any]]:
    return list(root.evaluate(READ))
