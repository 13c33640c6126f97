// Scatters that tell the gene of a dot: under the pointer, under a finger, or asked for by name.
for (const plot of document.querySelectorAll("figure.plot")) {
  const {names: list, labels, box, limits, values: [xs, ys]} = dataOf(plot);
  const names = namesOf(list), lower = names.map(n => n.toLowerCase());
  const [svg, tip, query, said] = ["svg", ".tip", "input", "output"].map(s => plot.querySelector(s));
  const [left, right, bottom, top] = box, [x0, x1, y0, y1] = limits;
  const px = xs.map(v => v === null ? NaN : left + (v - x0) / (x1 - x0) * (right - left));
  const py = ys.map(v => v === null ? NaN : bottom + (v - y0) / (y1 - y0) * (top - bottom));
  const ring = document.createElementNS(svg.namespaceURI, "circle");
  ring.setAttribute("class", "ring"); ring.setAttribute("r", "5"); ring.style.display = "none"; svg.append(ring);
  const text = i => `${labels[0]} ${number(xs[i], 4)}; ${labels[1]} ${number(ys[i], 4)}`;

  const hide = () => { ring.style.display = "none"; tip.hidden = true; };
  const show = i => {
    if (Number.isNaN(px[i] + py[i])) return hide();
    ring.setAttribute("cx", px[i]); ring.setAttribute("cy", py[i]); ring.style.display = "";
    const name = document.createElement("b"); name.textContent = names[i];
    tip.replaceChildren(name, ...[0, 1].map(axis => {
      const line = document.createElement("span");
      line.textContent = `${labels[axis]}: ${number(axis ? ys[i] : xs[i], 4)}`; return line;
    }));
    tip.hidden = false;
    const frame = svg.parentElement.getBoundingClientRect(), dot = ring.getBoundingClientRect();
    const x = dot.left + dot.width / 2 - frame.left - tip.offsetWidth / 2, gap = 8;
    const above = dot.top - frame.top - tip.offsetHeight - gap;
    tip.style.left = `${Math.max(0, Math.min(x, frame.width - tip.offsetWidth))}px`;
    tip.style.top = `${above < 0 ? dot.bottom - frame.top + gap : above}px`;
  };
  const nearest = (event, reach) => {   // reach in pixels of the screen
    const matrix = svg.getScreenCTM(), at = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    let found = -1, least = (reach / matrix.a) ** 2;
    for (let i = 0; i < px.length; i++) {
      const distance = (px[i] - at.x) ** 2 + (py[i] - at.y) ** 2;
      if (distance <= least) { least = distance; found = i; }
    }
    return found;
  };
  let kept = -1;                        // the gene asked for stays marked when the pointer leaves
  const point = (event, reach) => {
    const i = nearest(event, reach);
    if (i >= 0) show(i); else if (kept >= 0) show(kept); else hide();
  };
  svg.addEventListener("pointermove", e => { if (e.pointerType !== "touch") point(e, 14); });
  svg.addEventListener("pointerleave", e => {
    if (e.pointerType !== "touch") { if (kept >= 0) show(kept); else hide(); }
  });
  svg.addEventListener("click", e => point(e, 24));
  plot.addEventListener("keydown", e => { if (e.key === "Escape") { kept = -1; hide(); } });

  const find = first => {
    const word = query.value.trim().toLowerCase();
    kept = -1; hide(); said.textContent = "";
    if (!word) return;
    const exact = lower.indexOf(word);
    const hits = exact >= 0 ? [exact] : lower.flatMap((n, i) => n.includes(word) ? [i] : []);
    hits.sort((a, b) => lower[b].startsWith(word) - lower[a].startsWith(word));
    if (hits.length === 1 || first && hits.length) {
      kept = hits[0]; show(kept);
      said.textContent = `${names[kept]}: ${text(kept)}.`;
    } else if (hits.length) {
      const some = hits.slice(0, 5).map(i => names[i]).join(", ");
      said.textContent = `${hits.length.toLocaleString("en")} genes: ${some}${hits.length > 5 ? " …" : ""}`;
    } else said.textContent = `No gene has “${query.value.trim()}” in its name.`;
  };
  query.addEventListener("input", () => find(false));
  query.addEventListener("keydown", e => { if (e.key === "Enter") find(true); });
}
