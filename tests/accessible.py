"""Whether everybody can read a page: scripts that a browser answers."""

from __future__ import annotations

#: Texts whose contrast with what is behind them is below 4.5, or 3 where they are large (WCAG 2.2, 1.4.3).
CONTRAST = """(() => {
  const parts = text => { const n = text.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
  const light = colour => {
    const [r, g, b] = colour.map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parts(getComputedStyle(at).backgroundColor);
      if (colour[3] > .99) return colour;
    }
    return [255, 255, 255, 1];
  };
  const poor = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement, style = getComputedStyle(element);
    const dull = element.closest("svg, noscript, script, option, .unseen, :disabled");
    if (!walk.currentNode.textContent.trim() || dull || !element.checkVisibility()) continue;
    const one = light(parts(style.color)), other = light(ground(element));
    const ratio = (Math.max(one, other) + .05) / (Math.min(one, other) + .05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) poor.push(`${ratio.toFixed(2)} ${walk.currentNode.textContent.trim().slice(0, 40)}`);
  }
  return poor;
})()"""

#: What can be used, or is a picture, and has no name that a screen reader could say.
UNNAMED = """[...document.querySelectorAll(
    "a, button, input:not([type=hidden]), select, progress, svg[role=img], summary, [role=region]"
  )].filter(e => !(e.labels?.length || e.getAttribute("aria-label") || e.getAttribute("aria-labelledby")
    || e.textContent.trim())).map(e => e.outerHTML.slice(0, 80))"""

#: Whether there is one heading of level 1, the first, and no level is left out below it.
HEADINGS = """(() => {
  const levels = [...document.querySelectorAll("main :is(h1,h2,h3,h4)")].map(h => Number(h.tagName[1]));
  const follows = (level, at) => at === 0 ? level === 1 : level - levels[at - 1] <= 1;
  return levels.filter(level => level === 1).length === 1 && levels.every(follows);
})()"""
