// Scatters that tell the gene of a dot: under the pointer, under a finger, or asked for by name.
for (const plot of document.querySelectorAll("figure.plot")) {
  if (!plot.querySelector("script")) continue;   // drawn by a card
  const {names: list, labels, box, limits, values: [xs, ys]} = dataOf(plot);
  const names = namesOf(list), lower = names.map(n => n.toLowerCase());
  const [svg, tip, query, said] = ["svg", ".tip", "input", "output"].map(s => plot.querySelector(s));
  const [left, right, bottom, top] = box, [x0, x1, y0, y1] = limits;
  const px = xs.map(v => v === null ? NaN : left + (v - x0) / (x1 - x0) * (right - left));
  const py = ys.map(v => v === null ? NaN : bottom + (v - y0) / (y1 - y0) * (top - bottom));
  const value = (i, axis) => number(axis ? ys[i] : xs[i], 4);
  const text = i => `${labels[0]} ${value(i, 0)}; ${labels[1]} ${value(i, 1)}`;
  const lines = i => [names[i], ...[0, 1].map(axis => `${labels[axis]}: ${value(i, axis)}`)];
  const dots = hover(svg, tip, px, py, lines, i => cards.get(names[i])?.());
  plot.addEventListener("keydown", e => { if (e.key === "Escape") dots.keep(-1); });

  const find = first => {
    const word = query.value.trim().toLowerCase();
    dots.keep(-1); said.textContent = "";
    if (!word) return;
    const exact = lower.indexOf(word);
    const hits = exact >= 0 ? [exact] : lower.flatMap((n, i) => n.includes(word) ? [i] : []);
    hits.sort((a, b) => lower[b].startsWith(word) - lower[a].startsWith(word));
    if (hits.length === 1 || first && hits.length) {
      dots.keep(hits[0]);
      said.textContent = `${names[hits[0]]}: ${text(hits[0])}.`;
    } else if (hits.length) {
      const some = hits.slice(0, 5).map(i => names[i]).join(", ");
      said.textContent = `${hits.length.toLocaleString("en")} genes: ${some}${hits.length > 5 ? " …" : ""}`;
    } else said.textContent = `No gene has “${query.value.trim()}” in its name.`;
  };
  // The values stand in the page already: the file is made of them when it is asked for.
  const cell = v => v === null ? "" : /[",\n]/.test(v) ? `"${String(v).replaceAll('"', '""')}"` : String(v);
  plot.querySelector("a.data").addEventListener("click", e => {
    const rows = [["Gene", ...labels], ...names.map((n, i) => [n, xs[i], ys[i]])];
    const text = rows.map(row => row.map(cell).join(",")).join("\n") + "\n";
    e.currentTarget.href = "data:text/csv;charset=utf-8," + encodeURIComponent(text);
  });
  query.addEventListener("input", () => find(false));
  query.addEventListener("keydown", e => { if (e.key === "Enter") find(true); });
}
