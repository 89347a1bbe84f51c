// The page of a link: rotations and stacks that move under the finger, pictures that fill the screen, the surface.
// Everything is on the page without it, as pictures and links.
import { Stage } from "./turn.js";
import { enlarge } from "./light.js";

for (const stage of document.querySelectorAll(".stage")) new Stage(stage);
enlarge(document.querySelector("dialog.light"), [...document.querySelectorAll("a.enlarge, .stage")]);

const surface = document.querySelector(".surface");
if (surface) {
  const load = () => import("./surface.js").then(({ show }) => show(surface)).catch(() => {
    surface.textContent = surface.dataset.failed;
    surface.removeAttribute("role");
  });
  // Megabytes, so only when it comes near.
  const near = new IntersectionObserver((seen) => {
    if (seen.some((each) => each.isIntersecting)) { near.disconnect(); load(); }
  }, { rootMargin: "400px" });
  near.observe(surface);
}

const print = document.querySelector("button.print");
if (print) {
  print.hidden = false;
  print.addEventListener("click", () => window.print());
}
