// Dots of a drawing that say what they are: px and py in the drawing's own units, lines(i) the texts of a dot.
const hover = (svg, tip, px, py, lines, clicked) => {
  const ring = document.createElementNS(svg.namespaceURI, "circle");
  ring.setAttribute("class", "ring"); ring.setAttribute("r", "5"); ring.style.display = "none"; svg.append(ring);
  let kept = -1;                        // what was asked for stays marked when the pointer leaves
  const hide = () => { ring.style.display = "none"; tip.hidden = true; };
  const show = i => {
    if (Number.isNaN(px[i] + py[i])) return hide();
    ring.setAttribute("cx", px[i]); ring.setAttribute("cy", py[i]); ring.style.display = "";
    tip.replaceChildren(...lines(i).map((text, at) => {
      const line = document.createElement(at ? "span" : "b"); line.textContent = text; return line;
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
  const back = () => { if (kept >= 0) show(kept); else hide(); };
  const point = (event, reach) => {
    const i = nearest(event, reach);
    if (i >= 0) show(i); else back();
    return i;
  };
  svg.addEventListener("pointermove", e => { if (e.pointerType !== "touch") point(e, 14); });
  svg.addEventListener("pointerleave", e => { if (e.pointerType !== "touch") back(); });
  svg.addEventListener("click", e => { const i = point(e, 24); if (i >= 0) clicked?.(i); });
  return {keep: i => { kept = i; back(); }};
};
