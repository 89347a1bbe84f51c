// A picture of many frames: a rotation that turns, or planes to go through, by pointer, wheel, keys and slider.
const still = window.matchMedia("(prefers-reduced-motion: reduce)");

export class Stage {
  constructor(place) {
    this.place = place;
    const told = place.dataset;
    this.count = Number(told.frames);
    this.base = told.base;
    this.turns = told.kind === "turn";
    this.closed = told.closed === "yes";
    this.across = told.across === "yes"; // over the top: it is turned up and down
    if (this.across) place.classList.add("across");
    this.first = place.querySelector("img");
    this.at = Number(this.first.dataset.start) - 1; // a fraction while it is dragged
    this.images = new Array(this.count);
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("aria-hidden", "true");
    this.label = Object.assign(document.createElement("span"), { className: "count" });
    place.classList.add("live");
    place.tabIndex = 0;
    place.setAttribute("role", "slider");
    place.setAttribute("aria-label", told.name);
    place.setAttribute("aria-valuemin", "1");
    place.setAttribute("aria-valuemax", String(this.count));
    this.first.draggable = false;
    // The link is for browsers without scripts: nothing that takes the focus lies in a slider.
    this.first.closest("a").removeAttribute("href");
    this.makeTools();
    place.addEventListener("pointerdown", (event) => this.take(event));
    place.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of ["pointerup", "pointercancel"]) place.addEventListener(end, (event) => this.leave(event));
    place.addEventListener("keydown", (event) => this.key(event));
    if (!this.turns) place.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    const near = new IntersectionObserver((seen) => {
      if (seen.some((each) => each.isIntersecting)) { near.disconnect(); this.load(); }
    }, { rootMargin: "200px" });
    near.observe(place);
    this.tell();
  }

  get frame() {
    const whole = Math.round(this.at);
    return this.closed ? ((whole % this.count) + this.count) % this.count : Math.min(Math.max(whole, 0), this.count - 1);
  }

  address(frame) { return `${this.base}${frame + 1}.png`; }

  makeTools() {
    const tools = Object.assign(document.createElement("div"), { className: "tools" });
    const button = (text, act) => {
      const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
      made.setAttribute("aria-hidden", "true"); // the slider and the arrow keys do the same
      made.tabIndex = -1;
      made.addEventListener("click", act);
      return made;
    };
    this.slider = Object.assign(document.createElement("input"), { type: "range", min: 1, max: this.count, step: 1 });
    this.slider.setAttribute("aria-label", this.place.dataset.name);
    this.slider.addEventListener("input", () => this.go(Number(this.slider.value) - 1));
    tools.append(button("‹", () => this.go(this.frame - 1)), this.slider, button("›", () => this.go(this.frame + 1)));
    if (this.turns && !still.matches) {
      this.play = button("▶", () => this.running ? this.halt() : this.run());
      tools.append(this.play);
    }
    tools.append(this.label);
    this.place.after(tools);
  }

  // One answer has all frames, every eighth first: it can be turned before all of them are there.
  async load() {
    try {
      const answer = await fetch(`${this.base}frames`, { credentials: "same-origin" });
      if (!answer.ok) throw new Error(String(answer.status));
      const reader = answer.body.getReader();
      let held = new Uint8Array(0);
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        const joined = new Uint8Array(held.length + value.length);
        joined.set(held);
        joined.set(value, held.length);
        held = await this.keepWhole(joined);
      }
      if (this.images.filter(Boolean).length < this.count) throw new Error("cut short");
    } catch {
      this.label.textContent = this.place.dataset.failed;
    }
  }

  // Takes whole frames off what has come. Returns the rest.
  async keepWhole(bytes) {
    const view = new DataView(bytes.buffer);
    let at = 0;
    while (at + 8 <= bytes.length) {
      const number = view.getUint32(at, true);
      const length = view.getUint32(at + 4, true);
      if (at + 8 + length > bytes.length) break;
      this.images[number] = await createImageBitmap(new Blob([bytes.subarray(at + 8, at + 8 + length)], { type: "image/jpeg" }));
      at += 8 + length;
      const there = this.images.filter(Boolean).length;
      this.place.dataset.loaded = String(there);
      if (this.canvas.isConnected || number === this.frame) this.draw();
      this.tell();
    }
    return bytes.slice(at);
  }

  draw() {
    const wanted = this.frame;
    let image = this.images[wanted];
    for (let far = 1; !image && far < this.count; far += 1) { // the nearest that is there
      image = this.images[(wanted + far) % this.count] || this.images[(wanted - far + this.count) % this.count];
    }
    if (!image) return;
    if (this.canvas.width !== image.width || this.canvas.height !== image.height) {
      this.canvas.width = image.width;
      this.canvas.height = image.height;
    }
    this.canvas.getContext("2d").drawImage(image, 0, 0);
    if (!this.canvas.isConnected) this.first.closest("a").replaceWith(this.canvas);
  }

  tell() {
    const { of, loading } = this.place.dataset;
    const words = of.replace("{number}", this.frame + 1).replace("{count}", this.count);
    const there = this.images.filter(Boolean).length;
    this.label.textContent = there && there < this.count ? `${words} · ${loading} ${there}/${this.count}` : words;
    this.slider.value = String(this.frame + 1);
    this.place.setAttribute("aria-valuenow", String(this.frame + 1));
    this.place.setAttribute("aria-valuetext", words);
  }

  go(to) {
    this.at = this.closed ? to : Math.min(Math.max(to, 0), this.count - 1);
    this.draw();
    this.tell();
  }

  take(event) {
    if (event.button !== 0) return;
    this.halt();
    this.held = { id: event.pointerId, x: event.clientX, y: event.clientY, at: this.at, time: event.timeStamp, speed: 0 };
    this.moved = false;
    this.place.setPointerCapture(event.pointerId);
    this.place.classList.add("held");
  }

  drag(event) {
    if (!this.held || event.pointerId !== this.held.id) return;
    const far = event.clientX - this.held.x;
    const down = event.clientY - this.held.y;
    if (Math.abs(far) + Math.abs(down) > 4) this.moved = true;
    // To the right the near side goes to the right: the observer goes the other way. The width is half a turn.
    const before = this.at;
    const scale = this.turns ? this.count / 2 / this.place.clientWidth : this.count / this.place.clientHeight;
    const mouse = event.pointerType === "mouse";
    this.go(this.held.at + (this.across ? down : this.turns ? -far : mouse ? down || far : far) * scale);
    const passed = Math.max(event.timeStamp - this.held.time, 1);
    this.held.speed = 0.6 * this.held.speed + 0.4 * (this.at - before) / passed;
    this.held.time = event.timeStamp;
  }

  leave(event) {
    if (!this.held || event.pointerId !== this.held.id) return;
    const { speed, time } = this.held;
    this.held = undefined;
    this.place.classList.remove("held");
    if (!this.moved || !this.turns || still.matches || event.timeStamp - time > 60) return;
    this.glide(speed);
  }

  glide(speed) {
    let last = performance.now();
    const on = (now) => {
      const passed = now - last;
      last = now;
      speed *= Math.exp(-passed / 250);
      if (Math.abs(speed) < 0.002) return;
      this.go(this.at + speed * passed);
      this.running = requestAnimationFrame(on);
    };
    this.running = requestAnimationFrame(on);
  }

  run() {
    let last = performance.now();
    let back = 1;
    const on = (now) => {
      if (!this.closed && (this.at >= this.count - 1 || this.at <= 0)) back = this.at <= 0 ? 1 : -1;
      this.go(this.at + back * (now - last) * this.count / 12000);
      last = now;
      this.running = requestAnimationFrame(on);
    };
    this.running = requestAnimationFrame(on);
    this.play.textContent = "❚❚";
  }

  halt() {
    if (this.running) cancelAnimationFrame(this.running);
    this.running = undefined;
    if (this.play) this.play.textContent = "▶";
  }

  key(event) {
    const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 6, PageDown: -6 };
    const to = event.key in steps ? this.frame + steps[event.key]
      : event.key === "Home" ? 0 : event.key === "End" ? this.count - 1 : undefined;
    if (to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.halt();
    this.go(to);
  }

  wheel(event) {
    if (document.activeElement !== this.place || event.ctrlKey) return; // the page scrolls until it is chosen
    event.preventDefault();
    this.go(this.frame + Math.sign(event.deltaY));
  }
}
