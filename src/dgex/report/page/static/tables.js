// Tables that sort, and the one of all genes that is also searched.
const order = (a, b, up) => {           // values without a number go last, whichever way
  const x = a === null || a === "", y = b === null || b === "";
  if (x || y) return x - y;
  const sign = typeof a === "number" ? a - b : compare(a, b);
  return up ? sign : -sign;
};
const mark = (heads, at, up) => heads.forEach((h, i) => {
  if (i === at) h.setAttribute("aria-sort", up ? "ascending" : "descending"); else h.removeAttribute("aria-sort");
});
const button = (head, act) => {
  const b = document.createElement("button");
  b.type = "button"; b.append(...head.childNodes); head.append(b); b.addEventListener("click", act);
};

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, at) => button(head, () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    const value = row => {
      const cell = row.cells[at], v = cell.dataset.v;
      return v === undefined ? cell.dataset.s ?? cell.textContent : v === "" ? null : Number(v);
    };
    body.append(...[...body.rows].sort((a, b) => order(value(a), value(b), up)));
    mark(heads, at, up);
  }));
}

for (const finder of document.querySelectorAll(".finder")) {
  const data = dataOf(finder), names = namesOf(data.names), lower = names.map(n => n.toLowerCase());
  const [query, pick] = [finder.querySelector("input"), finder.querySelector("select")];
  const [said, table, more] = ["output", "table", ".more"].map(s => finder.querySelector(s));
  let at = data.given ? -1 : 0, up = true, shown = 50, heads = [];   // -1: in the order that the page gives
  const measure = () => data.measures[pick ? pick.selectedIndex : 0];
  const head = () => {
    const row = document.createElement("tr");
    heads = [data.index, ...measure().columns].map((text, i) => {
      const th = document.createElement("th");
      th.scope = "col"; th.textContent = text;
      if (i && measure().values[i - 1].every(v => typeof v !== "string")) th.className = "n";
      button(th, () => { up = i === at ? !up : true; at = i; shown = 50; draw(); });
      row.append(th); return th;
    });
    table.tHead.replaceChildren(row);
    if (at >= heads.length) at = 0;
  };
  const draw = () => {
    const m = measure(), words = query.value.toLowerCase().split(/[\s,;]+/).filter(Boolean);
    const hits = [];
    lower.forEach((n, i) => { if (!words.length || words.some(w => n.includes(w))) hits.push(i); });
    const exact = new Set(words), column = at > 0 ? m.values[at - 1] : names;
    const first = (a, b) => at < 0 ? a - b : order(column[a], column[b], up);
    hits.sort((a, b) => exact.has(lower[b]) - exact.has(lower[a]) || first(a, b));
    const rows = hits.slice(0, shown).map(i => {
      const tr = document.createElement("tr"), th = document.createElement("th");
      th.scope = "row"; th.title = names[i]; tr.append(th);
      if (cards.has(names[i])) {
        const open = made("button", names[i], "open");
        open.type = "button"; open.title = "Show its card"; open.addEventListener("click", cards.get(names[i])); th.append(open);
      } else th.textContent = names[i];
      const values = m.values.map(c => c[i]), known = values.filter(v => v !== null);
      const best = known.length > 1 && m.best ? Math[m.best](...known) : NaN;
      for (const v of values) {
        const td = document.createElement("td");
        const word = typeof v === "string";
        td.className = word ? "" : "n"; td.textContent = word ? v : number(v, data.digits);
        if (v === best) {
          const word = document.createElement("span");
          word.className = "unseen"; word.textContent = " (best)";
          td.classList.add("best"); td.append(word);
        }
        tr.append(td);
      }
      return tr;
    });
    table.tBodies[0].replaceChildren(...rows);
    said.textContent = `${hits.length.toLocaleString("en")} of ${names.length.toLocaleString("en")}`;
    more.hidden = hits.length <= shown;
    mark(heads, at, up);
  };
  query.addEventListener("input", () => { shown = 50; draw(); });
  if (pick) pick.addEventListener("change", () => { head(); draw(); });
  more.addEventListener("click", () => { shown += 200; draw(); });
  head(); draw();
}
