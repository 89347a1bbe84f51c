// What pages do beyond forms and links. Every page works without it.

// Keys: `/` to the search field, j and k along the rows of a list, Enter opens one.
document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") {
    const search = document.querySelector("input[type=search]");
    if (search) { event.preventDefault(); search.focus(); }
    return;
  }
  if (event.key !== "j" && event.key !== "k") return;
  const rows = [...document.querySelectorAll("a[data-row]")];
  if (!rows.length) return;
  const now = rows.indexOf(document.activeElement);
  const next = event.key === "j" ? Math.min(now + 1, rows.length - 1) : Math.max(now - 1, 0);
  rows[next].focus();
});

// A box that chooses all the others of its table.
document.addEventListener("change", (event) => {
  const all = event.target.closest("[data-all]");
  if (all) {
    for (const box of document.querySelectorAll(`input[name="${all.dataset.all}"]`)) box.checked = all.checked;
  }
  const own = event.target.closest("[data-submit]");
  if (own) own.form.requestSubmit();
});

// A form is sent once, however often its button is pressed.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented) return;
  const buttons = event.target.querySelectorAll("button:not([name])");
  setTimeout(() => buttons.forEach((each) => { each.disabled = true; }), 0);
});
window.addEventListener("pageshow", () => {
  document.querySelectorAll("form button[disabled]:not([data-disabled])").forEach((each) => { each.disabled = false; });
});

document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.elt.closest("[data-polled]")) event.detail.headers["X-Polled"] = "1";
});
document.querySelectorAll("[data-print]").forEach((each) => each.addEventListener("click", () => window.print()));
