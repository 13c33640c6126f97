// The list of many sections: open beside the text where there is room, folded above it elsewhere.
{
  const nav = document.querySelector("nav"), fold = nav?.querySelector("details");
  const links = new Map([...nav?.querySelectorAll("a") ?? []].map(a => [decodeURIComponent(a.hash.slice(1)), a]));
  const wide = matchMedia("(min-width:72rem)");

  if (fold) {
    const lay = () => { fold.open = wide.matches; };
    const close = () => { if (!wide.matches) fold.open = false; };
    wide.addEventListener("change", lay); lay();
    fold.querySelector("summary").addEventListener("click", e => { if (wide.matches) e.preventDefault(); });
    fold.querySelector("ul").addEventListener("click", e => { if (e.target.closest("a")) close(); });
    document.addEventListener("click", e => { if (!fold.contains(e.target)) close(); });
    fold.addEventListener("keydown", e => {
      if (e.key === "Escape" && fold.open && !wide.matches) { close(); fold.querySelector("summary").focus(); }
    });
  }

  let here = null;
  const follow = () => {                // the section being read is the last one that has passed the upper third
    const heads = [...links.keys()].map(id => document.getElementById(id));
    const passed = heads.filter(h => h.getBoundingClientRect().top < innerHeight / 3);
    const link = links.get((passed.at(-1) ?? heads[0])?.id);
    if (!link || link === here) return;
    here?.removeAttribute("aria-current");
    here = link; here.setAttribute("aria-current", "true");
    const box = fold ? nav : here.closest("ul");
    box.scrollTo(here.offsetLeft - box.offsetLeft - 16, here.offsetTop - box.clientHeight / 2);
    const label = fold?.querySelector(".here");
    if (label) label.textContent = passed.length ? here.textContent : "";
  };
  if (links.size) { addEventListener("scroll", follow, {passive: true}); follow(); }
}
