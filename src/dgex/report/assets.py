"""Style and behaviour of a report page, kept inline so that a page is one file that asks nothing of the network."""

from __future__ import annotations

__all__ = ["SCRIPT", "STYLE"]

STYLE = """
:root{color-scheme:light dark;--ground:#fbfbfa;--card:#fff;--ink:#1b2127;--muted:#56626c;--line:#dde2e6;
--accent:#00629b;--wash:#eef4f8;--best:#e3f2ea;--best-ink:#0b5a3c;--blue:#0072b2}
@media (prefers-color-scheme:dark){:root{--ground:#12161a;--card:#191f24;--ink:#e6eaed;--muted:#a0abb4;
--line:#2d363d;--accent:#6cb8ea;--wash:#1d2830;--best:#153528;--best-ink:#9be0bf;--blue:#3f9fe0}
figure svg image{filter:brightness(1.2)}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0;background:var(--ground);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
header,main,footer,nav ul{max-width:78rem;margin-inline:auto;padding-inline:clamp(1rem,4vw,2.5rem)}
header{padding-block:2.6rem 1.2rem}
h1{font-size:clamp(1.6rem,4vw,2.3rem);line-height:1.15;letter-spacing:-.015em;margin:0 0 .5rem;text-wrap:balance}
header p{margin:0;color:var(--muted);max-width:46rem;font-size:1.06rem}
h2{font-size:1.35rem;line-height:1.25;margin:2.6rem 0 .7rem;scroll-margin-top:3.4rem}
h3{font-size:1.08rem;margin:1.8rem 0 .5rem}
main>p,section>p{max-width:46rem;margin:.6rem 0}
a{color:var(--accent)}
a:focus-visible,button:focus-visible,input:focus-visible,select:focus-visible,.scroll:focus-visible{
outline:2px solid var(--accent);outline-offset:2px;border-radius:3px}
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:.5rem;
background:var(--card);padding:.4rem .8rem;z-index:9}
nav{position:sticky;top:0;z-index:5;background:var(--ground);border-block:1px solid var(--line)}
nav ul{display:flex;gap:1.4rem;list-style:none;margin-block:0;padding-block:.55rem;overflow-x:auto;white-space:nowrap}
nav a{text-decoration:none;font-size:.93rem}nav a:hover{text-decoration:underline}
.numbers{display:grid;
grid-template-columns:repeat(auto-fit,minmax(min(100%,9.5rem),1fr));gap:.9rem;margin:1.4rem 0;padding:0}
.numbers div{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:.85rem 1rem}
.numbers dt{font-size:.87rem;color:var(--muted);margin:0}
.numbers dd{margin:.1rem 0 0;font-size:1.6rem;font-weight:650;letter-spacing:-.01em;line-height:1.2}
.numbers dd small{display:block;font-size:.85rem;font-weight:400;color:var(--muted);letter-spacing:0;margin-top:.2rem}
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:10px;background:var(--card)}
table{border-collapse:collapse;width:100%;font-size:.93rem;font-variant-numeric:tabular-nums}
figcaption,.caption{color:var(--muted);font-size:.92rem;margin:.55rem .1rem 0;max-width:52rem}
th,td{padding:.5rem .7rem;text-align:left;white-space:nowrap;border-bottom:1px solid var(--line)}
tbody tr:last-child>*{border-bottom:0}tbody tr:hover>*{background:var(--wash)}
.n{text-align:right}
td:not(.n){white-space:normal;min-width:4.5rem;overflow-wrap:break-word}
thead th{font-weight:600;vertical-align:bottom;white-space:normal;line-height:1.25;
color:var(--muted);background:var(--card)}
tbody th{font-weight:600}
tbody th,thead th:first-child{position:sticky;left:0;background:var(--card)}
td.best{background:var(--best);color:var(--best-ink);font-weight:650}
th button{all:unset;cursor:pointer;font-weight:600}
th button:hover{color:var(--accent)}
th button::after{content:"";display:inline-block;width:1em;text-align:center}
th button::after{margin-left:.15em;margin-right:-1.15em}
th[aria-sort=ascending] button::after{content:"\\2191"}th[aria-sort=descending] button::after{content:"\\2193"}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));
gap:1.4rem;margin:1.4rem 0;align-items:start}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1rem}
figure svg{display:block;width:100%;height:auto;max-width:40rem;max-height:32rem;margin:auto}
figure svg *{stroke-linejoin:round}
.tools{display:flex;flex-wrap:wrap;gap:.8rem 1.2rem;align-items:end;margin:1rem 0 .7rem}
.tools label{display:grid;gap:.2rem;font-size:.87rem;color:var(--muted)}
.tools label:first-child{flex:1 1 15rem}
input,select,.more{font:inherit;color:var(--ink);background:var(--card);border:1px solid var(--line);
border-radius:8px;padding:.5rem .7rem;min-height:2.75rem}
.tools output{font-size:.9rem;color:var(--muted);padding-bottom:.6rem}
.more{margin:.8rem 0;cursor:pointer}.more[hidden]{display:none}
pre{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:10px;
padding:.8rem 1rem;font-size:.88rem}
details{margin:1rem 0}summary{cursor:pointer;color:var(--accent)}
footer{color:var(--muted);font-size:.88rem;padding-block:2.5rem 3rem}
@media (max-width:32rem){th,td{padding:.45rem .6rem}figure{padding:.6rem}header{padding-top:1.6rem}
tbody th{max-width:8.5rem;white-space:normal;overflow-wrap:break-word}}
@media print{:root{color-scheme:light;--ground:#fff;--card:#fff;--ink:#000;--muted:#444;--line:#bbb;--wash:#fff;
--best:#fff;--best-ink:#000}nav,.tools,.more,.skip{display:none}body{font-size:10.5pt}
figure,tr,.numbers div{break-inside:avoid}h2,h3{break-after:avoid}.scroll{overflow:visible}
th,td{padding:.2rem .4rem;white-space:normal}.figures{grid-template-columns:1fr 1fr}}
"""

SCRIPT = """
"use strict";
(() => {
const none = "–";
const order = (a, b, up) => {           // values without a number go last, whichever way
  const x = a === null || a === "", y = b === null || b === "";
  if (x || y) return x - y;
  const sign = typeof a === "number" ? a - b : String(a).localeCompare(String(b), "en", {numeric: true});
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
      const v = row.cells[at].dataset.v;
      return v === undefined ? row.cells[at].textContent : v === "" ? null : Number(v);
    };
    body.append(...[...body.rows].sort((a, b) => order(value(a), value(b), up)));
    mark(heads, at, up);
  }));
}

for (const finder of document.querySelectorAll(".finder")) {
  const data = JSON.parse(finder.querySelector("script").textContent);
  const [query, pick] = [finder.querySelector("input"), finder.querySelector("select")];
  const [said, table, more] = ["output", "table", ".more"].map(s => finder.querySelector(s));
  let at = 0, up = true, shown = 50, heads = [];
  const names = data.names, lower = names.map(n => n.toLowerCase());
  const measure = () => data.measures[pick ? pick.selectedIndex : 0];
  const head = () => {
    const row = document.createElement("tr");
    heads = [data.index, ...measure().columns].map((text, i) => {
      const th = document.createElement("th");
      th.scope = "col"; if (i) th.className = "n"; th.textContent = text;
      button(th, () => { up = i === at ? !up : true; at = i; shown = 50; draw(); });
      row.append(th); return th;
    });
    table.tHead.replaceChildren(row);
    if (at >= heads.length) at = 0;
  };
  const draw = () => {
    const m = measure(), words = query.value.toLowerCase().split(/[\\s,;]+/).filter(Boolean);
    const hits = [];
    lower.forEach((n, i) => { if (!words.length || words.some(w => n.includes(w))) hits.push(i); });
    const exact = new Set(words), column = at ? m.values[at - 1] : names;
    hits.sort((a, b) => exact.has(lower[b]) - exact.has(lower[a]) || order(column[a], column[b], up));
    const rows = hits.slice(0, shown).map(i => {
      const tr = document.createElement("tr"), th = document.createElement("th");
      th.scope = "row"; th.textContent = names[i]; th.title = names[i]; tr.append(th);
      const values = m.values.map(c => c[i]), known = values.filter(v => v !== null);
      const best = known.length > 1 && m.best ? Math[m.best](...known) : NaN;
      for (const v of values) {
        const td = document.createElement("td");
        td.className = v === best ? "n best" : "n";
        td.textContent = v === null ? none : v.toFixed(data.digits).replace("-", "−"); tr.append(td);
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
})();
"""
