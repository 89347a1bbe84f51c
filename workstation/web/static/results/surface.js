// The surface viewer: turn, zoom, parts with their opacity, views from six sides, letters and a cube, distances.
// The model is in metres: x to the patient's left, y to the head, z to the front.
import * as THREE from "../vendor/three/three.module.js";
import { OrbitControls } from "../vendor/three/OrbitControls.js";
import { readGlb } from "./glb.js";

const WAYS = { A: [0, 0, 1], P: [0, 0, -1], L: [1, 0, 0], R: [-1, 0, 0], H: [0, 1, 0], F: [0, -1, 0] };
const FINEST = 0.03; // a way that is less of a side than this has no letter of it

export function letters(way) {
  return [["x", "L", "R"], ["y", "H", "F"], ["z", "A", "P"]]
    .map(([axis, plus, minus]) => [Math.abs(way[axis]), way[axis] > 0 ? plus : minus])
    .filter(([part]) => part * part > FINEST)
    .sort((one, other) => other[0] - one[0]).slice(0, 2).map(([, letter]) => letter).join("");
}

export async function show(place) {
  const told = place.dataset;
  const note = Object.assign(document.createElement("div"), { className: "note", textContent: `${told.loading} …` });
  let renderer;
  try {
    renderer = new THREE.WebGLRenderer({ antialias: true, preserveDrawingBuffer: true });
  } catch {
    place.replaceChildren(Object.assign(document.createElement("p"), { className: "warning", textContent: told.nowebgl }));
    place.removeAttribute("role");
    place.removeAttribute("tabindex");
    return;
  }
  const space = Object.assign(document.createElement("div"), { className: "space" });
  space.append(renderer.domElement, note);
  const sides = Object.fromEntries(["top", "bottom", "left", "right"].map((name) => {
    const made = Object.assign(document.createElement("span"), { className: `side ${name}` });
    space.append(made);
    return [name, made];
  }));
  place.replaceChildren(space);
  renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2));
  renderer.autoClear = false;

  const scene = new THREE.Scene();
  const camera = new THREE.PerspectiveCamera(30, 1, 0.01, 20);
  const lamp = new THREE.DirectionalLight(0xffffff, 2.6);
  lamp.position.set(-0.7, 0.9, 0.6);
  camera.add(lamp, lamp.target);
  lamp.target.position.set(0, 0, -1);
  scene.add(camera, new THREE.HemisphereLight(0xffffff, 0x39424d, 0.55));
  const cube = makeCube();
  const controls = new OrbitControls(camera, renderer.domElement);
  controls.enableDamping = !window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  controls.dampingFactor = 0.12;
  controls.rotateSpeed = 0.9;
  controls.zoomToCursor = true;

  const [parts, data] = await Promise.all([
    fetch(told.parts, { credentials: "same-origin" }).then((answer) => { if (!answer.ok) throw new Error(); return answer.json(); }),
    fetch(told.model, { credentials: "same-origin" }).then((answer) => { if (!answer.ok) throw new Error(); return answer.arrayBuffer(); }),
  ]);
  const meshes = readGlb(data);
  scene.add(...meshes);
  const box = new THREE.Box3();
  for (const mesh of meshes) { mesh.geometry.computeBoundingBox(); box.expandByObject(mesh); }
  const centre = box.getCenter(new THREE.Vector3());
  const size = box.getSize(new THREE.Vector3());
  const radius = size.length() / 2;
  controls.minDistance = radius / 20;
  controls.maxDistance = radius * 12;
  camera.near = radius / 200;
  camera.far = radius * 30;

  let due = false;
  const draw = () => { if (!due) { due = true; requestAnimationFrame(paint); } };
  const marks = [];
  function paint() {
    due = false;
    const moving = controls.update();
    const { width, height } = space.getBoundingClientRect();
    renderer.setViewport(0, 0, width, height);
    renderer.setScissorTest(false);
    renderer.clear();
    renderer.render(scene, camera);
    const size = Math.min(96, width / 5);
    renderer.setViewport(width - size - 8, 8, size, size);
    renderer.clearDepth();
    cube.draw(renderer, camera);
    const right = new THREE.Vector3(1, 0, 0).applyQuaternion(camera.quaternion);
    const up = new THREE.Vector3(0, 1, 0).applyQuaternion(camera.quaternion);
    sides.right.textContent = letters(right);
    sides.left.textContent = letters(right.clone().negate());
    sides.top.textContent = letters(up);
    sides.bottom.textContent = letters(up.clone().negate());
    for (const mark of marks) mark.place(camera, width, height);
    place.dataset.drawn = String(Number(place.dataset.drawn || 0) + 1);
    if (moving) draw();
  }
  const look = (name) => {
    const way = new THREE.Vector3(...WAYS[name]);
    camera.up.set(0, 1, 0);
    // What is seen of the box from there fills the picture, its near side too.
    const axis = WAYS[name].findIndex((part) => part);
    const [wide, high, deep] = [[size.z, size.y, size.x], [size.x, size.z, size.y], [size.x, size.y, size.z]][axis];
    const far = deep / 2 + 1.15 * Math.max(high, wide / camera.aspect) / 2 / Math.tan(THREE.MathUtils.degToRad(15));
    // From head and feet the front is up on the picture; a trace of it keeps the way up defined.
    if (name === "H") way.z -= 1e-4;
    if (name === "F") way.z += 1e-4;
    // What is left of a turn by hand would turn the new view.
    const damped = controls.enableDamping;
    controls.enableDamping = false;
    controls.update();
    controls.enableDamping = damped;
    controls.target.copy(centre);
    camera.position.copy(centre).addScaledVector(way, far);
    draw();
  };
  const fit = () => {
    const { width, height } = space.getBoundingClientRect();
    renderer.setSize(width, height, false);
    camera.aspect = width / Math.max(height, 1);
    camera.updateProjectionMatrix();
    draw();
  };
  new ResizeObserver(fit).observe(space);
  controls.addEventListener("change", draw);
  fit();
  look("A");

  const turn = (across, over) => {
    const way = camera.position.clone().sub(controls.target);
    const ball = new THREE.Spherical().setFromVector3(way);
    ball.theta += across;
    ball.phi += over;
    ball.makeSafe();
    camera.position.copy(controls.target).add(way.setFromSpherical(ball));
    draw();
  };
  const zoom = (by) => { camera.position.lerp(controls.target, 1 - by); draw(); };
  const step = Math.PI / 18;
  const keys = {
    ArrowLeft: () => turn(-step, 0), ArrowRight: () => turn(step, 0), ArrowUp: () => turn(0, -step),
    ArrowDown: () => turn(0, step), "+": () => zoom(0.85), "-": () => zoom(1 / 0.85), 0: () => look("A"),
  };
  place.addEventListener("keydown", (event) => {
    if (event.target !== place || !(event.key in keys) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
  });

  const tools = Object.assign(document.createElement("div"), { className: "tools" });
  const button = (text, act, label = "") => {
    const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
    if (label) made.setAttribute("aria-label", label);
    made.addEventListener("click", act);
    tools.append(made);
    return made;
  };
  tools.append(Object.assign(document.createElement("span"), { textContent: told.view }));
  for (const words of told.sides.split("|")) button(words[0], () => look(words[0]), `${told.view}: ${words.slice(2)}`);
  button(told.reset, () => look("A"));
  measuring(button, told, { space, camera, meshes, marks, scene, note, radius, draw });
  place.append(tools, partList(parts, meshes, told, draw));
  note.textContent = "";
  note.hidden = true;
  place.dataset.ready = "yes";
}

function partList(parts, meshes, told, draw) {
  const list = Object.assign(document.createElement("ul"), { className: "parts" });
  list.setAttribute("aria-label", told.partsTitle);
  meshes.forEach((mesh, number) => {
    const { name, colour } = parts[number] || { name: mesh.name, colour: [1, 1, 1] };
    const row = document.createElement("li");
    const label = document.createElement("label");
    const tick = Object.assign(document.createElement("input"), { type: "checkbox", checked: true });
    tick.addEventListener("change", () => { mesh.visible = tick.checked; draw(); });
    const swatch = Object.assign(document.createElement("span"), { className: "swatch" });
    swatch.style.backgroundColor = `rgb(${colour.map((part) => Math.round(part * 255)).join(" ")})`;
    label.append(tick, swatch, name);
    const range = Object.assign(document.createElement("input"), { type: "range", min: 5, max: 100, step: 5, value: 100 });
    range.setAttribute("aria-label", told.opacity.replace("{name}", name));
    range.addEventListener("input", () => {
      const part = Number(range.value) / 100;
      Object.assign(mesh.material, { opacity: part, transparent: part < 1, depthWrite: part >= 1, needsUpdate: true });
      mesh.renderOrder = part < 1 ? 1 : 0;
      draw();
    });
    row.append(label, range);
    list.append(row);
  });
  return list;
}

// Two taps on the surface and the way between them, straight, in mm.
function measuring(button, told, { space, camera, meshes, marks, scene, note, radius, draw }) {
  const ray = new THREE.Raycaster();
  let first;
  let on = false;
  const say = (words) => { note.textContent = words; note.hidden = !words; };
  const toggle = button(told.measure, () => {
    on = !on;
    first = undefined;
    toggle.setAttribute("aria-pressed", String(on));
    say(on ? told.tap : marks.length ? told.own : "");
  });
  toggle.setAttribute("aria-pressed", "false");
  button(told.clear, () => {
    for (const mark of marks.splice(0)) mark.remove();
    first = undefined;
    say(on ? told.tap : "");
    draw();
  });
  const point = (at) => {
    const dot = new THREE.Mesh(new THREE.SphereGeometry(radius / 120, 12, 8), new THREE.MeshBasicMaterial({ color: 0xffd250, depthTest: false }));
    dot.position.copy(at);
    dot.renderOrder = 2;
    scene.add(dot);
    return dot;
  };
  let down;
  space.addEventListener("pointerdown", (event) => { down = { x: event.clientX, y: event.clientY }; });
  space.addEventListener("pointerup", (event) => {
    if (!on || !down || Math.hypot(event.clientX - down.x, event.clientY - down.y) > 6) return;
    const { left, top, width, height } = space.getBoundingClientRect();
    ray.setFromCamera(new THREE.Vector2(2 * (event.clientX - left) / width - 1, 1 - 2 * (event.clientY - top) / height), camera);
    const [hit] = ray.intersectObjects(meshes.filter((mesh) => mesh.visible), false);
    if (!hit) return;
    const dot = point(hit.point);
    if (!first) {
      first = dot;
      marks.push({ place() {}, remove: () => scene.remove(dot) });
    } else {
      const ends = [first.position, dot.position];
      const line = new THREE.Line(new THREE.BufferGeometry().setFromPoints(ends), new THREE.LineBasicMaterial({ color: 0xffd250, depthTest: false }));
      line.renderOrder = 2;
      scene.add(line);
      const label = Object.assign(document.createElement("span"), { className: "label" });
      label.textContent = `${(ends[0].distanceTo(ends[1]) * 1000).toFixed(1)} mm`;
      space.append(label);
      const middle = ends[0].clone().add(ends[1]).multiplyScalar(0.5);
      marks.push({
        place(eye, wide, high) {
          const seen = middle.clone().project(eye);
          label.style.left = `${(seen.x + 1) / 2 * wide + 8}px`;
          label.style.top = `${(1 - seen.y) / 2 * high - 10}px`;
        },
        remove() { scene.remove(line, dot); label.remove(); },
      });
      first = undefined;
      say(told.own);
    }
    draw();
  });
}

function makeCube() {
  const scene = new THREE.Scene();
  const eye = new THREE.OrthographicCamera(-1.1, 1.1, 1.1, -1.1, 0.1, 10);
  // In the order of a box's faces: left, right, head, feet, front, back.
  const faces = ["L", "R", "H", "F", "A", "P"].map((letter) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 128, height: 128 });
    const pen = canvas.getContext("2d");
    pen.fillStyle = "#25313d";
    pen.fillRect(0, 0, 128, 128);
    pen.strokeStyle = "#8fa3b8";
    pen.lineWidth = 6;
    pen.strokeRect(3, 3, 122, 122);
    pen.fillStyle = "#ffd250";
    pen.font = "bold 88px sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText(letter, 64, 70);
    const texture = new THREE.CanvasTexture(canvas);
    texture.colorSpace = THREE.SRGBColorSpace;
    return new THREE.MeshBasicMaterial({ map: texture });
  });
  scene.add(new THREE.Mesh(new THREE.BoxGeometry(1.15, 1.15, 1.15), faces));
  return {
    draw(renderer, camera) {
      eye.quaternion.copy(camera.quaternion);
      eye.position.set(0, 0, 1).applyQuaternion(camera.quaternion).multiplyScalar(4);
      renderer.render(scene, eye);
    },
  };
}
