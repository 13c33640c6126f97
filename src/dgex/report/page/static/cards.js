// A gene's card: inferred against measured on every set of profiles, its error by group, what drives it.
const cards = new Map();                // gene to what opens its card; tables and scatters ask
const made = (tag, text = "", kind = "") => {
  const element = document.createElement(tag);
  element.textContent = text; if (kind) element.className = kind;
  return element;
};
const drawn = (tag, attributes, parent) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  parent.append(element); return element;
};
const table = (caption, heads, rows) => {
  const box = made("div", "", "scroll"), t = made("table"), head = made("tr"), title = made("caption");
  title.append(made("span", caption)); box.tabIndex = 0; box.setAttribute("role", "region"); box.setAttribute("aria-label", caption);
  heads.forEach((text, i) => { const th = made("th", text, i ? "n" : ""); th.scope = "col"; head.append(th); });
  t.append(title); t.createTHead().append(head);
  const body = t.createTBody();
  for (const [name, ...values] of rows) {
    const tr = made("tr"), th = made("th", name); th.scope = "row"; tr.append(th);
    tr.append(...values.map(v => made("td", v, "n"))); body.append(tr);
  }
  box.append(t); return box;
};

for (const root of document.querySelectorAll(".cards")) {
  const data = dataOf(root), names = data.genes, lower = names.map(n => n.toLowerCase());
  const [query, said, card] = ["input", "output", ".card"].map(s => root.querySelector(s));
  const [before, after] = root.querySelectorAll("button");
  let now = 0;

  const picture = (set, i) => {         // values travel as whole numbers from 0 to 999 between two ends
    const [low, high] = set.ends[i], edge = 46, size = 300;
    const place = v => (v / 999) * (size - 16) + 8;
    const value = v => low + v / 999 * (high - low);
    const px = set.measured[i].map(v => v === null ? NaN : edge + place(v));
    const py = set.inferred[i].map(v => v === null ? NaN : size - place(v));
    const figure = made("figure", "", "plot"), frame = made("div", "", "drawing"), tip = made("div", "", "tip");
    tip.hidden = true; tip.setAttribute("aria-hidden", "true");
    const label = `${names[i]}, ${set.name}: inferred against measured values of ${px.length} profiles`;
    const svg = drawn("svg", {viewBox: `0 0 ${edge + size + 18} ${size + 40}`, role: "img", "aria-label": label}, frame);
    drawn("path", {d: `M${edge} 0V${size}H${edge + size}`, fill: "none", stroke: "var(--muted)"}, svg);
    drawn("path", {d: `M${edge + 8} ${size - 8}L${edge + size - 8} 8`, stroke: "currentColor", opacity: .6}, svg);
    const text = (x, y, words, anchor) => {
      drawn("text", {x, y, "font-size": 12, "text-anchor": anchor, fill: "currentColor"}, svg).textContent = words;
    };
    [0, 999].forEach(v => {
      text(edge + place(v), size + 16, number(value(v), 1), "middle"); text(edge - 6, size - place(v) + 4, number(value(v), 1), "end");
    });
    text(edge + size / 2, size + 34, `measured (${set.unit})`, "middle");
    const side = drawn("text", {transform: `translate(14 ${size / 2}) rotate(-90)`, "font-size": 12, "text-anchor": "middle", fill: "currentColor"}, svg);
    side.textContent = "inferred";
    px.forEach((x, k) => { if (!Number.isNaN(x + py[k])) drawn("circle", {cx: x, cy: py[k], r: 3, fill: "var(--blue)", opacity: .55}, svg); });
    frame.append(tip);
    hover(svg, tip, px, py, k => [
      set.profiles[k], ...(set.groups ? [set.groups[k]] : []),
      `measured: ${number(value(set.measured[i][k]), 2)}; inferred: ${number(value(set.inferred[i][k]), 2)}`]);
    figure.append(frame, made("figcaption", `${set.name}: a dot is a profile, on the line where inferred right. ${set.facts[i]}`));
    return figure;
  };

  const show = (i, go) => {
    now = i;
    const figures = made("div", "", "figures"), parts = [made("h3", names[i]), figures];
    for (const set of data.sets) {
      figures.append(picture(set, i));
      if (set.by) {
        const rows = set.by.names.map((n, k) => [n, set.by.values[i][k]]).filter(r => r[1] !== null);
        rows.sort((a, b) => b[1] - a[1]);
        parts.push(table(`${set.name}: error by ${set.by.what} (${set.unit}), largest first`, [set.by.what, "Error"],
          rows.map(([n, v]) => [n, number(v, 3)])));
      }
    }
    const drivers = data.drivers[i] ?? [];
    if (drivers.length) {
      parts.push(table(`Landmark genes of most weight (in standard deviations, one of ${names[i]} for one of the landmark gene)`,
        ["Landmark gene", "Weight"], drivers.map(([n, w]) => [n, number(w, 3)])));
    }
    card.replaceChildren(...parts);
    said.textContent = `${names[i]}, number ${i + 1} of ${names.length} cards, best first`;
    before.disabled = i === 0; after.disabled = i === names.length - 1;
    if (go) { card.scrollIntoView({block: "nearest"}); card.focus({preventScroll: true}); }
  };
  names.forEach((name, i) => cards.set(name, () => show(i, true)));
  before.addEventListener("click", () => show(now - 1)); after.addEventListener("click", () => show(now + 1));
  query.addEventListener("input", () => {
    const word = query.value.trim().toLowerCase();
    if (!word) return;
    const exact = lower.indexOf(word), hits = lower.flatMap((n, i) => n.includes(word) ? [i] : []);
    if (exact >= 0 || hits.length === 1) show(exact >= 0 ? exact : hits[0]);
    else said.textContent = hits.length ? `${hits.length} genes: ${hits.slice(0, 5).map(i => names[i]).join(", ")}` : data.none;
  });
  show(0);
}
