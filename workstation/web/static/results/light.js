// Pictures that fill the screen, to zoom and move: by wheel, two fingers, buttons and keys.
export function enlarge(dialog, places) {
  if (!dialog || !dialog.showModal) return; // the links lead to the pictures themselves
  const image = dialog.querySelector("img");
  const space = dialog.querySelector(".space");
  const title = dialog.querySelector(".title");
  const pictures = places.map((place) => ({
    place,
    name: place.dataset.name,
    // Of many frames the one that is shown: its slider says which.
    address: () => place.href || `${place.dataset.base}${place.getAttribute("aria-valuenow") || 1}.png`,
  }));
  let shown = 0;
  let zoom = 1;
  let x = 0;
  let y = 0;
  const fingers = new Map();

  const place = () => { image.style.transform = `translate(${x}px, ${y}px) scale(${zoom})`; };
  const fit = () => { zoom = 1; x = 0; y = 0; place(); };
  const magnify = (by, atX, atY) => {
    const next = Math.min(Math.max(zoom * by, 1), 16);
    const part = next / zoom;
    x = atX - (atX - x) * part;
    y = atY - (atY - y) * part;
    zoom = next;
    if (zoom === 1) fit(); else place();
  };
  const middle = (by) => magnify(by, space.clientWidth / 2, space.clientHeight / 2);
  const open = (number) => {
    shown = (number + pictures.length) % pictures.length;
    const { name, address } = pictures[shown];
    image.src = address();
    image.alt = name;
    title.textContent = name;
    fit();
    if (!dialog.open) dialog.showModal();
  };
  pictures.forEach(({ place: on }, number) => {
    if (on.matches("a")) on.addEventListener("click", (event) => { event.preventDefault(); open(number); });
    else on.addEventListener("dblclick", () => open(number));
    if (on.matches(".stage")) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: "⤢" });
      button.setAttribute("aria-label", `${on.dataset.name}: 100 %`);
      button.addEventListener("click", () => open(number));
      on.nextElementSibling?.append(button);
    }
  });
  const acts = {
    previous: () => open(shown - 1),
    next: () => open(shown + 1),
    in: () => middle(1.5),
    out: () => middle(1 / 1.5),
    fit,
    close: () => dialog.close(),
  };
  dialog.addEventListener("click", (event) => acts[event.target.dataset?.do]?.());
  dialog.addEventListener("keydown", (event) => {
    const act = { ArrowLeft: "previous", ArrowRight: "next", "+": "in", "-": "out", 0: "fit" }[event.key];
    if (act) { event.preventDefault(); acts[act](); }
  });
  dialog.addEventListener("close", () => { image.removeAttribute("src"); pictures[shown].place.focus(); });
  space.addEventListener("wheel", (event) => {
    event.preventDefault();
    const { left, top } = space.getBoundingClientRect();
    magnify(Math.exp(-event.deltaY / 300), event.clientX - left, event.clientY - top);
  }, { passive: false });
  space.addEventListener("dblclick", (event) => {
    const { left, top } = space.getBoundingClientRect();
    if (zoom > 1) fit(); else magnify(3, event.clientX - left, event.clientY - top);
  });
  space.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    space.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });
  space.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const { left, top } = space.getBoundingClientRect();
      const far = (one) => Math.hypot(one.x - other.x, one.y - other.y) || 1;
      magnify(far(now) / far(before), (now.x + other.x) / 2 - left, (now.y + other.y) / 2 - top);
    }
    const share = other ? 0.5 : 1;
    if (zoom > 1) { x += (now.x - before.x) * share; y += (now.y - before.y) * share; place(); }
    fingers.set(event.pointerId, now);
  });
  for (const end of ["pointerup", "pointercancel"]) space.addEventListener(end, (event) => fingers.delete(event.pointerId));
}
