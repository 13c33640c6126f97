// Pages work without this. With it an upload shows how far it is, waiting pages keep themselves up to date, a search
// finds while one types, and a file that is being made tells when it is there.
"use strict";
(() => {
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const said = one("#said");
  const say = text => { if (said.textContent !== text) said.textContent = text; };
  const pause = time => new Promise(done => setTimeout(done, time));

  function words(state) {
    if (state.state === "waiting") {
      const n = state.before;
      return n ? `Waiting: ${n} ${n === 1 ? "piece" : "pieces"} of work before yours.` : "Waiting.";
    }
    const text = state.text || "beginning";
    return text[0].toUpperCase() + text.slice(1) + " …";
  }

  function problem(text) {
    const place = one("#problem");
    place.textContent = text;
    place.hidden = false;
    place.tabIndex = -1;
    place.focus();
  }

  // An upload, with its progress; what is too large is refused before it is sent.
  const form = one("form[data-upload]");
  if (form) {
    const input = one("input[type=file]", form), drop = one(".drop", form);
    const sending = one("#sending"), bar = one("progress", sending), button = one("button", form);
    for (const name of ["dragenter", "dragover"])
      drop.addEventListener(name, event => { event.preventDefault(); drop.classList.add("over"); });
    for (const name of ["dragleave", "drop"])
      drop.addEventListener(name, event => { event.preventDefault(); drop.classList.remove("over"); });
    drop.addEventListener("drop", event => { if (event.dataTransfer.files.length) input.files = event.dataTransfer.files; });
    form.addEventListener("submit", event => {
      event.preventDefault();
      one("#problem").hidden = true;
      const size = [...input.files].reduce((sum, file) => sum + file.size, 0), most = Number(form.dataset.most);
      if (size > most) {
        const mega = bytes => `${Math.round(bytes / 2 ** 20).toLocaleString("en")} MB`;
        problem(`These are ${mega(size)}; up to ${mega(most)} are accepted here.`);
        return;
      }
      const request = new XMLHttpRequest();
      const show = text => { one("#sending_words").textContent = text; };
      const end = text => { sending.hidden = true; button.disabled = false; problem(text); };
      request.upload.addEventListener("progress", state => {
        if (!state.lengthComputable) return;
        bar.value = state.loaded / state.total;
        show(`Sending: ${Math.round(100 * bar.value)} %`);
      });
      request.addEventListener("load", () => {
        let told = {};
        try { told = JSON.parse(request.responseText); } catch { /* a proxy answers as it likes */ }
        if (request.status === 202) location.assign(`/files/${encodeURIComponent(told.id)}`);
        else end(told.error || `The server refused it (${request.status}).`);
      });
      request.addEventListener("error", () => end("The upload broke off. Is the server still there?"));
      request.open("POST", "/api/files");
      request.send(new FormData(form));
      sending.hidden = false;
      button.disabled = true;
      say("Sending the file");
    });
  }

  // What was chosen, so that it is still chosen in the newer page.
  function remembered(root) {
    const values = new Map(all("select, input[type=search]", root).map(field => [field.name, field.value]));
    const chosen = one("input[type=radio]:checked", root);
    const touched = root.dataset.touched === "yes", open = all("details", root).map(item => item.open);
    return newer => {
      if (!touched) return;
      all("select, input[type=search]", newer).forEach(field => { if (values.has(field.name)) field.value = values.get(field.name); });
      const again = chosen && one(`#${CSS.escape(chosen.id)}`, newer);
      if (again && !again.disabled) again.checked = true;
      if (open.length === all("details", newer).length) all("details", newer).forEach((item, at) => { item.open = open[at]; });
    };
  }

  async function page(address) {
    const answer = await fetch(address, { headers: { accept: "text/html" } });
    return { ok: answer.ok, page: new DOMParser().parseFromString(await answer.text(), "text/html") };
  }

  // A page that waits: how far the work is, and a newer page when there is something new to show.
  async function follow() {
    let main = one("main");
    main.addEventListener("change", () => { main.dataset.touched = "yes"; });
    let missed = 0;
    while (main.dataset.poll) {
      await pause(document.hidden ? 3000 : 700);
      try {
        const answer = await fetch(main.dataset.poll);
        const state = await answer.json();
        missed = 0;
        const place = one("#progress_words"), bar = one("#progress");
        if (answer.ok && state.stamp === main.dataset.stamp) {
          if (place) { place.textContent = words(state); bar.value = state.state === "running" ? state.share : 0; say(words(state)); }
          continue;
        }
        const newer = await page(location.href), next = one("main", newer.page), held = main.contains(document.activeElement);
        const id = held && document.activeElement.id;
        remembered(main)(next);
        if (main.dataset.touched) next.dataset.touched = "yes";
        document.title = newer.page.title;
        main.replaceWith(document.adoptNode(next));
        main = next;
        main.addEventListener("change", () => { main.dataset.touched = "yes"; });
        ready(main);
        const again = id && document.getElementById(id);
        if (again) again.focus();
        else if (!main.dataset.poll && !held) main.focus({ preventScroll: true });
        say(`${one("h1", main).textContent}: ${main.dataset.poll ? "more is known" : one(".warning b, h2, legend", main)?.textContent ?? "done"}`);
      } catch {
        missed += 1;
        if (missed > 4) { const place = one("#progress_words"); if (place) place.textContent = "The server does not answer. Load this page again in a while."; return; }
      }
    }
  }

  // A search that finds while one types, and lists that change what is shown.
  function live(search, root) {
    const parts = search.dataset.live.split(" ");
    let last = 0;
    async function renew(address) {
      const number = ++last;
      parts.forEach(id => one(`#${id}`)?.classList.add("busy"));
      const newer = await page(address);
      if (number !== last || !newer.ok) return;
      for (const id of parts) {
        const old = one(`#${id}`), next = one(`#${id}`, newer.page);
        if (old && next) old.replaceWith(document.adoptNode(next));
      }
      history.replaceState(null, "", address);
      turns();
      say(one("#found output")?.textContent ?? "");
    }
    const address = () => `${location.pathname}?${new URLSearchParams(new FormData(search))}`;
    let timer = 0;
    search.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => renew(address()), 180); });
    search.addEventListener("submit", event => { event.preventDefault(); clearTimeout(timer); renew(address()); });
    function turns() {
      all("[data-turn]", root).forEach(link => link.addEventListener("click", async event => {
        event.preventDefault();
        await renew(link.getAttribute("href").split("#")[0]);
        one("#found .scroll")?.focus();
      }));
    }
    turns();
  }

  // A file that is made first: the link says so, and the download begins when it is there.
  function makes(link) {
    const name = link.textContent;
    link.addEventListener("click", async event => {
      event.preventDefault();
      if (link.getAttribute("aria-busy") === "true") return;
      const place = one("#problem");
      place.hidden = true;
      link.setAttribute("aria-busy", "true");
      link.textContent = `${name} …`;
      say(`${name} is being made`);
      const href = link.href, made = fetch(href, { method: "HEAD" });
      let waiting = true;
      made.finally(() => { waiting = false; }).catch(() => {});
      (async () => {
        while (waiting) {
          await pause(900);
          const state = (await (await fetch(href.split("/download")[0])).json()).being_made?.[link.dataset.make];
          if (waiting && state?.state === "running") link.textContent = `${name} ${Math.round(100 * state.share)} %`;
          if (waiting && state?.state === "waiting") link.textContent = `${name}: waiting`;
        }
      })().catch(() => {});
      try {
        const answer = await made;
        if (answer.ok) { say(`${name} is ready`); const go = document.createElement("a"); go.href = href; go.download = ""; document.body.append(go); go.click(); go.remove(); }
        else problem((await (await fetch(href)).json()).error);
      } catch { problem("The server does not answer."); }
      link.removeAttribute("aria-busy");
      link.textContent = name;
    });
  }

  function ready(root) {
    all("form[data-live]", root).forEach(search => live(search, root));
    all("a[data-make]", root).forEach(makes);
    all("form[data-confirm]", root).forEach(item => item.addEventListener("submit", event => {
      if (!confirm(item.dataset.confirm)) event.preventDefault();
    }));
  }

  ready(document);
  follow();
})();
