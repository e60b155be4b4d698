// Keeps the page fresh, and shows what is searched for while one types. Everything shown is asked of the server, which filters and escapes.
"use strict";

(() => {
  const REFRESH_MS = 5000;
  const TYPING_MS = 120;
  const PATIENCE_MS = 15000;
  // What the server may change, by id; the rest of the page stays as it is.
  const PARTS = ["summary", "account", "found", "columns", "servers", "more"];

  const form = document.querySelector("form");
  const stale = document.getElementById("stale");
  let tag = null;
  let asking = null;
  let timer = 0;

  form.querySelector("button").hidden = true;
  form.addEventListener("input", () => later(TYPING_MS, search));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : refresh()));
  later(REFRESH_MS, refresh);

  function later(wait, work) {
    clearTimeout(timer);
    timer = setTimeout(work, wait);
  }

  // The address says what is shown, so that it can be kept and passed on.
  function search() {
    const fields = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      if (value.trim() !== "" && !(name === "sort" && value === "worst")) fields.set(name, value);
    }
    const text = fields.toString();
    history.replaceState(null, "", text === "" ? "/" : `/?${text}`);
    refresh();
  }

  async function refresh() {
    clearTimeout(timer);
    asking?.abort();
    const mine = new AbortController();
    asking = mine;
    const giveUp = setTimeout(() => mine.abort(), PATIENCE_MS);
    try {
      const headers = tag === null ? {} : { "If-None-Match": tag };
      const answer = await fetch(location.href, { headers, cache: "no-store", signal: mine.signal });
      if (answer.status === 200) {
        const text = await answer.text();
        if (asking !== mine) return;
        show(new DOMParser().parseFromString(text, "text/html"));
        tag = answer.headers.get("ETag");
      } else if (answer.status !== 304) {
        throw new Error(`${answer.status}`);
      }
      if (asking === mine) answered(answer.headers.get("Date"));
    } catch {
      if (asking === mine) unanswered();
    } finally {
      clearTimeout(giveUp);
      if (asking === mine && !document.hidden) later(REFRESH_MS, refresh);
    }
  }

  function answered(date) {
    const at = new Date(date ?? NaN);
    if (!Number.isNaN(at.getTime())) {
      const text = at.toISOString();
      const shown = document.getElementById("asof");
      shown.dateTime = text;
      shown.textContent = `${text.slice(0, 10)} ${text.slice(11, 19)} UTC`;
    }
    stale.hidden = true;
  }

  function unanswered() {
    stale.textContent = "snapwarden does not answer. What is shown is what was known before.";
    stale.hidden = false;
  }

  function show(page) {
    const focused = document.activeElement?.getAttribute("href");
    document.title = page.title;
    const axis = page.getElementById("axis");
    if (axis) document.getElementById("axis").replaceWith(document.adoptNode(axis));
    for (const id of PARTS) {
      const [old, fresh] = [document.getElementById(id), page.getElementById(id)];
      if (!old || !fresh || old.isEqualNode(fresh)) continue;
      if (id === "servers") renew(old, fresh);
      else old.replaceWith(document.adoptNode(fresh));
    }
    if (focused && document.activeElement === document.body) document.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  }

  // Servers that have not changed stay the same elements: what is selected or scrolled to stays so.
  function renew(list, fresh) {
    const known = new Map([...list.children].map((item) => [item.id, item]));
    let place = list.firstElementChild;
    for (const item of [...fresh.children]) {
      let node = known.get(item.id);
      if (!node?.isEqualNode(item)) {
        if (node === place) place = place?.nextElementSibling ?? null;
        node?.remove();
        node = document.adoptNode(item);
      }
      if (node === place) place = place.nextElementSibling;
      else list.insertBefore(node, place);
    }
    while (place) {
      const next = place.nextElementSibling;
      place.remove();
      place = next;
    }
  }
})();
