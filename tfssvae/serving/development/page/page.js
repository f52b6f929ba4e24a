"use strict";
// Everything shown comes from the signatures of the served SavedModel, over TensorFlow Serving's
// REST calls; `interface.json`, an asset of the model, says what they take.

const $ = (id) => document.getElementById(id);
const PAD = 280, PEN = 18, STEP = 6, WAIT = 120, MOST_BARS = 10;
let model = null;         // {name, interface, classes, provenance}
let pixels = null;        // the image as the model takes it: h x w x c, 0..255
let asked = 0;            // number of the last question: older answers are dropped
let timer = 0;
let drawn = true;         // whether the pad holds strokes only, and no image that was opened
const pen = { x: 140, y: 140, down: false };
const point = [0, 0];     // on the plane, in standard deviations

// The server ---------------------------------------------------------------------------------

async function fetchJson(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer. Is it still running?");
  }
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(found.error || `The server answered ${answer.status}.`);
  return found;
}

async function call(signature, inputs) {
  const { outputs } = await fetchJson(`/v1/models/${encodeURIComponent(model.name)}:predict`,
    { signature_name: signature, inputs });
  const names = Object.keys(model.interface.signatures[signature].outputs);
  return names.length === 1 ? { [names[0]]: outputs } : outputs;  // a single one comes bare
}

const has = (signature) => signature in model.interface.signatures;

function forModel(image) {
  const scale = model.interface.plain_names_take === "float32" ? 255 : 1;
  return [image.map((row) => row.map((cell) => cell.map((value) => value / scale)))];
}

function tell(error) {
  $("trouble").textContent = error ? error.message : "";
  $("trouble").hidden = !error;
}

// Images -------------------------------------------------------------------------------------

function show(canvas, image) {
  const [height, width] = [image.length, image[0].length];
  canvas.width = width;
  canvas.height = height;
  canvas.style.aspectRatio = `${width} / ${height}`;
  const context = canvas.getContext("2d");
  const data = context.createImageData(width, height);
  image.flat().forEach((cell, at) => {
    const byte = cell.map((value) => Math.round(255 * value));
    data.data.set([byte[0], byte[1] ?? byte[0], byte[2] ?? byte[0], 255], 4 * at);
  });
  context.putImageData(data, 0, 0);
}

// The mean of the pixels that each pixel of the model covers.
function shrink(source) {
  const [height, width, channels] = model.interface.input_shape;
  const data = source.getContext("2d").getImageData(0, 0, source.width, source.height).data;
  const found = [];
  for (let i = 0; i < height; i++) {
    const row = [];
    for (let j = 0; j < width; j++) {
      const sum = [0, 0, 0];
      const [top, bottom] = [Math.floor(i * source.height / height), Math.ceil((i + 1) * source.height / height)];
      const [left, right] = [Math.floor(j * source.width / width), Math.ceil((j + 1) * source.width / width)];
      for (let y = top; y < bottom; y++)
        for (let x = left; x < right; x++)
          for (let c = 0; c < 3; c++) sum[c] += data[4 * (y * source.width + x) + c];
      const mean = sum.map((value) => value / ((bottom - top) * (right - left)));
      const grey = Math.round(0.299 * mean[0] + 0.587 * mean[1] + 0.114 * mean[2]);
      row.push(channels === 1 ? [grey] : mean.map(Math.round));
    }
    found.push(row);
  }
  return found;
}

// A drawing as MNIST's digits are: its longer side 20/28 of the frame, its centre of mass in the middle.
function centred(source) {
  const { width, height } = source;
  const data = source.getContext("2d").getImageData(0, 0, width, height).data;
  let [left, right, top, bottom, mass, x, y] = [width, -1, height, -1, 0, 0, 0];
  for (let i = 0; i < height; i++)
    for (let j = 0; j < width; j++) {
      const value = data[4 * (i * width + j)];
      if (!value) continue;
      [left, right, top, bottom] = [Math.min(left, j), Math.max(right, j), Math.min(top, i), Math.max(bottom, i)];
      mass += value;
      x += j * value;
      y += i * value;
    }
  if (!mass) return source;
  const scale = (20 / 28) * Math.min(width / (right - left + 1), height / (bottom - top + 1));
  const found = document.createElement("canvas");
  Object.assign(found, { width, height });
  const context = found.getContext("2d");
  context.fillStyle = "#000";
  context.fillRect(0, 0, width, height);
  context.drawImage(source, width / 2 - scale * x / mass, height / 2 - scale * y / mass, scale * width, scale * height);
  return found;
}

// The pad ------------------------------------------------------------------------------------

function clearPad() {
  const context = $("pad").getContext("2d");
  context.fillStyle = "#000";
  context.fillRect(0, 0, $("pad").width, $("pad").height);
  clearTimeout(timer);
  pixels = null;
  drawn = true;
  asked++;
  $("verdict").textContent = "Nothing yet.";
  for (const id of ["bars", "facts", "styles"]) $(id).replaceChildren();
  for (const id of ["seen", "reconstruction"]) show($(id), [[[0]]]);
}

function stroke(x, y, nextX, nextY) {
  const context = $("pad").getContext("2d");
  context.strokeStyle = "#fff";
  context.lineWidth = PEN;
  context.lineCap = context.lineJoin = "round";
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(nextX, nextY);
  context.stroke();
  changed();
}

function changed() {
  tell(null);
  clearTimeout(timer);
  timer = setTimeout(() => {
    pixels = shrink(drawn && $("centre").checked ? centred($("pad")) : $("pad"));
    ask();
  }, WAIT);
}

function place(canvas, event) {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) * canvas.width / box.width,
    (event.clientY - box.top) * canvas.height / box.height];
}

function onPad(event) {
  const [x, y] = place($("pad"), event);
  if (event.type === "pointerdown") {
    $("pad").setPointerCapture(event.pointerId);
    Object.assign(pen, { x, y, drawing: true });
  }
  if (pen.drawing && event.type !== "pointerup") {
    stroke(pen.x, pen.y, x, y);
    Object.assign(pen, { x, y });
  }
  if (event.type === "pointerup" || event.type === "pointercancel") pen.drawing = false;
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function padKey(event) {
  if (event.key === " ") {
    pen.down = !pen.down;
    if (pen.down) stroke(pen.x, pen.y, pen.x, pen.y);
  } else if (event.key in ARROWS) {
    const [right, down] = ARROWS[event.key];
    const inside = (value, most) => Math.min(most, Math.max(0, value));
    const [x, y] = [inside(pen.x + STEP * right, $("pad").width), inside(pen.y + STEP * down, $("pad").height)];
    if (pen.down) stroke(pen.x, pen.y, x, y);
    Object.assign(pen, { x, y });
  } else return;
  event.preventDefault();
  $("pad-hint").textContent = `Pen ${pen.down ? "down" : "up"} at ` +
    `${Math.round(100 * pen.x / $("pad").width)}% from the left, ${Math.round(100 * pen.y / $("pad").height)}% from the top.`;
}

async function open(file) {
  if (!file) return;
  tell(null);
  try {
    const bitmap = await createImageBitmap(file).catch(() => {
      throw new Error(`${file.name} is not an image that this browser can read.`);
    });
    const pad = $("pad"), context = pad.getContext("2d");
    const scale = Math.max(pad.width / bitmap.width, pad.height / bitmap.height);
    const [width, height] = [bitmap.width * scale, bitmap.height * scale];
    context.fillStyle = "#000";
    context.fillRect(0, 0, pad.width, pad.height);
    context.filter = $("invert").checked ? "invert(1)" : "none";
    context.drawImage(bitmap, (pad.width - width) / 2, (pad.height - height) / 2, width, height);
    context.filter = "none";
    drawn = false;
    changed();
  } catch (error) {
    tell(error);
  }
}

function invert() {
  const pad = $("pad"), context = pad.getContext("2d");
  const data = context.getImageData(0, 0, pad.width, pad.height);
  data.data.forEach((value, at) => { if (at % 4 < 3) data.data[at] = 255 - value; });
  context.putImageData(data, 0, 0);
  changed();
}

async function generate() {
  tell(null);
  clearTimeout(timer);
  const number = ++asked;
  try {
    const { generated_images: [image] } = await call("generate",
      { labels: [Number($("class").value)], seed: Math.floor(Math.random() * 2 ** 31) });
    if (number !== asked) return;  // cleared, or another model, in the meantime
    drawn = false;
    const small = document.createElement("canvas");
    show(small, image);
    const context = $("pad").getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, $("pad").width, $("pad").height);
    pixels = image.map((row) => row.map((cell) => cell.map((value) => Math.round(255 * value))));
    await ask();
  } catch (error) {
    if (number === asked) tell(error);
  }
}

// Answers ------------------------------------------------------------------------------------

async function ask() {
  if (!pixels) return;
  const number = ++asked;
  const images = forModel(pixels);
  const bytes = pixels.map((row) => row.map((cell) => cell.map((value) => value / 255)));
  try {
    const names = ["classify", "reconstruct", "explain", "score", "styles", "encode"].filter(has);
    const answers = await Promise.all(names.map((name) => call(name, { images })));
    if (number !== asked) return;
    const found = Object.assign({}, ...answers);
    show($("seen"), bytes);
    show($("reconstruction"), found.reconstructions[0]);
    showClasses(found.probabilities[0]);
    showFacts(found);
    if (found.class_images) showStyles(found.class_images[0], found.classes[0]);
    if (model.interface.plane) walkTo(found.codes[0], found.classes[0]);
  } catch (error) {
    if (number === asked) tell(error);
  }
}

const percent = (share) => `${(100 * share).toFixed(1)}%`;

function showClasses(probabilities) {
  const order = probabilities.map((share, k) => [share, k]).sort((a, b) => b[0] - a[0]);
  const shown = order.length > MOST_BARS ? order.slice(0, MOST_BARS) : probabilities.map((share, k) => [share, k]);
  $("verdict").textContent = `${model.classes[order[0][1]]}, ${percent(order[0][0])}`;
  $("bars").replaceChildren(...shown.map(([share, k]) => {
    const line = document.createElement("li");
    line.style.setProperty("--share", percent(share));
    line.className = k === order[0][1] ? "first" : "";
    for (const text of [model.classes[k], percent(share)]) {
      const part = document.createElement("span");
      part.textContent = text;
      line.append(part);
    }
    return line;
  }));
}

function showFacts(found) {
  const facts = [];
  if (found.entropies) facts.push(["entropy", `${found.entropies[0].toFixed(3)} nats of at most ` +
    `${Math.log(model.interface.num_classes).toFixed(3)}`]);
  if (found.log_likelihoods) facts.push(["log p(x) is at least",
    `${found.log_likelihoods[0].toFixed(1)} nats, ${model.interface.score_samples} samples`]);
  if (found.v_nats) facts.push(["units that the image decides", `${found.v_nats[0].filter((v) => v > 1).length} of ` +
    `${found.v_nats[0].length} (V-nat above 1)`]);
  $("facts").replaceChildren(...facts.flatMap(([term, text]) => {
    const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
    dt.textContent = term;
    dd.textContent = text;
    return [dt, dd];
  }));
}

function showStyles(images, given) {
  $("styles").replaceChildren(...images.map((image, k) => {
    const figure = document.createElement("figure");
    const canvas = document.createElement("canvas");
    const caption = document.createElement("figcaption");
    canvas.className = "image";
    show(canvas, image);
    caption.textContent = model.classes[k];
    caption.title = model.classes[k];
    caption.className = k === given ? "first" : "";
    figure.append(canvas, caption);
    return figure;
  }));
}

// The plane ----------------------------------------------------------------------------------

const REACH = 3;  // standard deviations that the plane shows

function walkTo(code, label) {
  const { mean, axes, deviation } = model.interface.plane;
  const top = code.slice(-model.interface.code_size);
  axes.forEach((axis, i) => {
    const along = axis.reduce((sum, value, j) => sum + value * (top[j] - mean[j]), 0);
    point[i] = Math.max(-REACH, Math.min(REACH, along / (deviation[i] || 1)));
  });
  $("walk-class").value = String(label);
  walk();
}

function drawPlane() {
  const canvas = $("plane"), context = canvas.getContext("2d");
  const style = getComputedStyle(document.body);
  const { deviation, points } = model.interface.plane;
  const at = (value, size) => size / 2 + value / REACH * size / 2;
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.strokeStyle = style.getPropertyValue("--line");
  context.beginPath();
  context.moveTo(canvas.width / 2, 0);
  context.lineTo(canvas.width / 2, canvas.height);
  context.moveTo(0, canvas.height / 2);
  context.lineTo(canvas.width, canvas.height / 2);
  context.stroke();
  context.fillStyle = style.getPropertyValue("--quiet");
  for (const [x, y] of points)
    context.fillRect(at(x / (deviation[0] || 1), canvas.width) - 1, at(-y / (deviation[1] || 1), canvas.height) - 1, 2, 2);
  context.fillStyle = style.getPropertyValue("--accent");
  context.beginPath();
  context.arc(at(point[0], canvas.width), at(-point[1], canvas.height), 8, 0, 2 * Math.PI);
  context.fill();
  $("place").textContent = ` at ${point[0].toFixed(1)}, ${point[1].toFixed(1)} standard deviations`;
}

let walking = false, again = false;

async function walk() {
  drawPlane();
  if (walking) { again = true; return; }  // one question at a time, the last place last
  walking = true;
  try {
    do {
      again = false;
      const { mean, axes, deviation } = model.interface.plane;
      const code = mean.map((value, j) =>
        value + axes.reduce((sum, axis, i) => sum + point[i] * deviation[i] * axis[j], 0));
      const inputs = { codes: [code] };
      if ("labels" in model.interface.signatures.decode.inputs) inputs.labels = [Number($("walk-class").value)];
      const { decoded_images: [image] } = await call("decode", inputs);
      show($("walked"), image);
    } while (again);
  } catch (error) {
    tell(error);
  } finally {
    walking = false;
  }
}

function onPlane(event) {
  if (event.type === "pointerdown") $("plane").setPointerCapture(event.pointerId);
  else if (!$("plane").hasPointerCapture(event.pointerId)) return;
  const [x, y] = place($("plane"), event);
  const inside = (value) => Math.max(-REACH, Math.min(REACH, value));
  point[0] = inside((x / $("plane").width - 0.5) * 2 * REACH);
  point[1] = inside((0.5 - y / $("plane").height) * 2 * REACH);
  tell(null);
  walk();
}

function planeKey(event) {
  if (!(event.key in ARROWS)) return;
  const [right, down] = ARROWS[event.key];
  point[0] = Math.max(-REACH, Math.min(REACH, point[0] + right / 5));
  point[1] = Math.max(-REACH, Math.min(REACH, point[1] - down / 5));
  event.preventDefault();
  tell(null);
  walk();
}

// Start --------------------------------------------------------------------------------------

const SECTIONS = "main > section";
let taken = 0;  // number of the last choice of a model

async function take(name) {
  const number = ++taken;
  clearPad();
  const found = await fetchJson(`models/${encodeURIComponent(name)}`);
  if (number !== taken) return;
  model = { name, ...found };
  clearPad();
  const { interface: about, provenance, classes } = model;
  $("title").textContent = `${name}: ${about.method}`;
  document.title = `${name} - tfssvae`;
  const { data = {}, test = {} } = provenance;
  $("origin").textContent = [
    data.name && `trained on ${data.name}`,
    data.labels !== undefined && `${data.labels.toLocaleString()} labels`,
    test.accuracy !== undefined && `test accuracy ${percent(test.accuracy)}`,
    about.library,
  ].filter(Boolean).join(", ");
  const options = () => classes.map((text, k) => new Option(text, String(k)));
  $("class").replaceChildren(...options());
  $("walk-class").replaceChildren(...options());
  const isImage = about.input_shape.length === 3;
  for (const section of document.querySelectorAll(SECTIONS)) section.hidden = !isImage;
  if (!isImage) throw new Error("This model takes tables of numbers: there is nothing to draw.");
  const [height, width] = about.input_shape;
  $("pad").width = Math.round(PAD * Math.min(1, width / height));
  $("pad").height = Math.round(PAD * Math.min(1, height / width));
  $("pad").style.aspectRatio = `${width} / ${height}`;
  $("styles-part").hidden = !has("styles");
  $("plane-part").hidden = !(about.plane && has("decode"));
  $("walk-class-label").hidden = !has("decode") || !("labels" in about.signatures.decode.inputs);
  clearPad();
  if (!$("plane-part").hidden) {
    point.fill(0);
    walk();
  }
}

async function start() {
  try {
    const { models } = await fetchJson("models");
    if (!models.length) throw new Error("No model is served.");
    $("models").replaceChildren(...models.map((name) => new Option(name, name)));
    $("choice").hidden = models.length < 2;
    await take(models[0]);
  } catch (error) {
    tell(error);
  }
}

for (const kind of ["pointerdown", "pointermove", "pointerup", "pointercancel"]) {
  $("pad").addEventListener(kind, onPad);
  $("plane").addEventListener(kind, onPlane);
}
$("pad").addEventListener("keydown", padKey);
$("plane").addEventListener("keydown", planeKey);
$("clear").addEventListener("click", () => { clearPad(); tell(null); });
$("centre").addEventListener("change", () => { if (pixels) changed(); });
$("invert").addEventListener("change", invert);
$("generate").addEventListener("click", generate);
$("file").addEventListener("change", (event) => { open(event.target.files[0]); event.target.value = ""; });
$("walk-class").addEventListener("change", walk);
$("models").addEventListener("change", () => {
  const name = $("models").value;
  tell(null);
  take(name).catch((error) => { if (name === $("models").value) tell(error); });
});
for (const kind of ["dragover", "drop", "dragleave"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();  // a browser would leave the page for the image
    $("pad").classList.toggle("dragged", kind === "dragover");
    if (kind === "drop") open(event.dataTransfer.files[0]);
  });
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (model?.interface.plane) drawPlane(); });
start();
