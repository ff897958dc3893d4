import "./style.css";
import { loadModel, pngText, type DeviceOption, type Model } from "freeguide";
import { byId, choose, chosen, make } from "./dom.js";
import { ClassChips } from "./classes.js";
import { Detail } from "./detail.js";
import { Loading } from "./loading.js";
import { modelUrl, shippedModels } from "./models.js";
import { hideProblem, showProblem } from "./problem.js";
import { showProvenance } from "./provenance.js";
import { Rail } from "./rail.js";
import { savePicture, saveSheet } from "./save.js";
import { Scrubber } from "./scrubber.js";
import { COUNTS, defaultSettings, MOST_STEPS, parseSeed, randomSeed, readSettings, writeSettings, type Settings } from "./settings.js";
import { Sheet } from "./sheet.js";
import { Studio, type Manner } from "./studio.js";
import { setUpTheme } from "./theme.js";
import { Wordmark } from "./wordmark.js";

const form = byId<HTMLFormElement>("console");
const seedField = byId<HTMLInputElement>("seed");
const stepsField = byId<HTMLInputElement>("steps");
const live = byId<HTMLInputElement>("live");
const drawButton = byId<HTMLButtonElement>("draw");
const stopButton = byId<HTMLButtonElement>("stop");

const loading = new Loading();
const fail = (error: unknown): void => toast(error instanceof Error ? error.message : String(error));
const detail = new Detail(fail);
const sheet = new Sheet({
  open: (tile) => (tile.drawn ? detail.open(tile) : draw("show")),
  save: (tile) => void savePicture(tile).catch(fail),
  pick(w) {
    rail.value = w;
    choose(form, "view", "sheet");
    draw("show");
  },
});
const scrubber = new Scrubber(sheet);
const chips = new ClassChips(() => changed());
const rail = new Rail(
  () => {
    // A sweep has its own strengths: whoever moves the rail wants to see one.
    choose(form, "view", "sheet");
    changed("draft");
  },
  () => changed(),
);

let model: Model | undefined;
let studio: Studio | undefined;
let loadControl: AbortController | undefined;
/** Whether the visitor has decided about `live`; until then the speed of the device does. */
let liveWasChosen = false;
let settling: number | undefined;

const query = (): URLSearchParams => new URLSearchParams(location.search);

// --- settings -----------------------------------------------------------------------------------------------------

/** What the controls say. A field that holds nonsense is put right. */
function read(): Settings {
  const seed = parseSeed(seedField.value) ?? 0;
  const steps = Math.min(MOST_STEPS, Math.max(1, Math.round(Number(stepsField.value) || 1)));
  seedField.value = String(seed);
  stepsField.value = String(steps);
  return {
    classes: chips.value,
    guidance: rail.value,
    steps,
    sampler: chosen(form, "sampler") === "ancestral" ? "ancestral" : "ddim",
    seed,
    count: Number(chosen(form, "count")),
    view: chosen(form, "view") === "sweep" ? "sweep" : "sheet",
  };
}

function write(settings: Settings): void {
  chips.value = settings.classes;
  rail.value = settings.guidance;
  stepsField.value = String(settings.steps);
  seedField.value = String(settings.seed);
  choose(form, "sampler", settings.sampler);
  choose(form, "count", String(settings.count));
  choose(form, "view", settings.view);
}

function remember(settings: Settings): void {
  const search = writeSettings(settings, query()).toString();
  // Browsers limit how often the address may change: what a drag passes over is not worth it.
  history.replaceState(null, "", `?${search}`);
}

/** A setting changed: draws again where that is wanted, else says that the sheet is out of date. */
function changed(manner: Manner = "swap"): void {
  window.clearTimeout(settling);
  if (!studio) return;
  const settings = read();
  if (manner !== "draft") remember(settings);
  if (!live.checked) {
    drawButton.classList.add("stale");
    return;
  }
  if (manner === "draft") {
    studio.order(settings, "draft");
    // The thumb rests: the sheet deserves all its steps although it is still held.
    settling = window.setTimeout(() => changed(), 400);
  } else {
    studio.order(settings, manner);
  }
}

// --- drawing ------------------------------------------------------------------------------------------------------

function draw(manner: Manner): void {
  window.clearTimeout(settling);
  if (!studio) return;
  const settings = read();
  remember(settings);
  studio.order(settings, manner);
}

function say(words: string): void {
  byId("status").textContent = words;
}

let toastTimer: number | undefined;
function toast(words: string): void {
  const box = byId("toast");
  box.textContent = words;
  box.hidden = false;
  window.clearTimeout(toastTimer);
  toastTimer = window.setTimeout(() => (box.hidden = true), 3500);
  say(words);
}

function showBusy(busy: boolean): void {
  // The focus goes along, so that Enter and Esc stay under the same finger.
  const held = document.activeElement === drawButton || document.activeElement === stopButton;
  drawButton.hidden = busy;
  stopButton.hidden = !busy;
  if (held) (busy ? stopButton : drawButton).focus();
  document.body.classList.toggle("busy", busy);
}

function time(milliseconds: number): string {
  return milliseconds < 1000 ? `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

function startStudio(loaded: Model): Studio {
  let doneSteps = 0;
  let allSteps = 0;
  let meanStep = 0;
  const made = new Studio(loaded, sheet, {
    begin(manner) {
      doneSteps = 0;
      meanStep = 0;
      if (manner === "draft") return;
      showBusy(true);
      drawButton.classList.remove("stale");
      scrubber.begin();
      if (manner === "show") say("Drawing");
    },
    step(done, all, milliseconds, nfe) {
      doneSteps = done;
      allSteps = all;
      meanStep += (milliseconds - meanStep) / done;
      byId("meter-step").textContent = time(meanStep);
      byId("meter-nfe").textContent = String(nfe);
      scrubber.progress(done, all);
    },
    end({ manner, finished, milliseconds }) {
      if (manner === "draft") return;
      showBusy(made.busy);
      scrubber.end();
      if (!finished) {
        if (!made.busy) say(`Stopped after ${doneSteps} of ${allSteps} steps`);
        return;
      }
      byId("meter-total").textContent = time(milliseconds);
      const tiles = sheet.tiles.length;
      say(`Drew ${tiles} ${tiles === 1 ? "picture" : "pictures"} in ${time(milliseconds)}`);
      if (!liveWasChosen) live.checked = (made.estimate(read()) ?? Infinity) < 2000;
    },
    fail: (error) => broken(error),
  });
  made.preview = chosen(form, "preview") === "latent" ? "latent" : "denoised";
  return made;
}

// --- loading ------------------------------------------------------------------------------------------------------

function broken(error: unknown): void {
  const option = byId<HTMLSelectElement>("device-option");
  const onGpu = model?.device.kind === "webgpu" || option.value === "webgpu";
  loading.end();
  byId("sheet").hidden = true;
  byId("time").hidden = true;
  showProblem(error, {
    retry: () => void open(),
    useCpu: onGpu
      ? () => {
          option.value = "cpu";
          void open();
        }
      : undefined,
  });
}

async function open(): Promise<void> {
  loadControl?.abort();
  const control = new AbortController();
  loadControl = control;
  await studio?.stop();
  studio = undefined;
  model?.dispose();
  model = undefined;
  hideProblem();
  byId("sheet").hidden = true;
  byId("time").hidden = true;
  drawButton.disabled = true;
  form.inert = true;
  loading.begin();
  const device = byId<HTMLSelectElement>("device-option").value as DeviceOption;
  try {
    const asked = query().get("model") ?? (await shippedModels())[0]?.folder;
    if (asked === undefined) throw new Error("no model ships with this page; name one with ?model=ADDRESS");
    const loaded = await loadModel(modelUrl(asked), {
      device,
      signal: control.signal,
      onProgress: (progress) => loading.show(progress),
    });
    if (control.signal.aborted) {
      loaded.dispose();
      return;
    }
    model = loaded;
    settle(loaded);
  } catch (error) {
    if (loadControl === control) broken(error);
  }
}

/** Fits the page to a loaded model and draws what the address asks for. */
function settle(loaded: Model): void {
  const { config, device } = loaded;
  loading.end();
  chips.offer(config.classes);
  const { settings, unknown } = readSettings(query(), config);
  write(settings);
  if (unknown.length > 0) toast(`This model does not know ${unknown.join(", ")}.`);
  byId("model-name").textContent = byId("model-pick").hidden ? config.name : "";
  byId("meter-device").textContent = device.name;
  byId("meter-device").dataset.kind = device.kind;
  byId("refused-title").textContent = device.refused.length > 0 ? "Why not the GPU?" : "Choose the device";
  byId("refused-words").textContent = device.refused.map(({ reason }) => `${reason}.`).join(" ");
  showProvenance(config);
  studio = startStudio(loaded);
  drawButton.disabled = false;
  form.inert = false;
  sheet.layOut(settings, config);
  byId("time").hidden = false;
  draw("show");
}

async function offerModels(): Promise<void> {
  const models = await shippedModels();
  const asked = query().get("model");
  const pick = byId<HTMLSelectElement>("model");
  if (models.length < 2 && (asked === null || asked === models[0]?.folder)) return;
  pick.replaceChildren(...models.map(({ folder, name }) => make("option", { value: folder }, name)));
  if (asked !== null && !models.some(({ folder }) => folder === asked)) {
    pick.append(make("option", { value: asked }, asked.replace(/\/+$/, "").split("/").pop() ?? asked));
  }
  pick.value = asked ?? models[0]?.folder ?? "";
  byId("model-pick").hidden = false;
  pick.addEventListener("change", () => {
    const next = new URLSearchParams({ model: pick.value });
    history.replaceState(null, "", `?${next.toString()}`);
    void open();
  });
}

/** Takes the settings out of a picture that was saved here or by `freeguide sample`. */
async function restore(file: File): Promise<void> {
  const pictures = pngText(new Uint8Array(await file.arrayBuffer()));
  const first = pictures?.[0];
  if (!pictures || !first || !model) {
    toast("This picture carries no settings of freeguide.");
    return;
  }
  const was = defaultSettings(model.config);
  const asked = new URLSearchParams({
    w: String(first.guidance ?? was.guidance),
    steps: String(first.steps ?? was.steps),
    sampler: String(first.sampler ?? was.sampler),
    seed: String(first.seed ?? was.seed),
  });
  for (const picture of pictures) asked.append("class", String(picture.class ?? "none"));
  const { settings, unknown } = readSettings(asked, model.config);
  // The smallest sheet that has all of them.
  const most = Math.max(...pictures.map(({ image }) => Number(image) || 0));
  settings.count = COUNTS.find((count) => count > most) ?? 16;
  if (first.model !== model.config.name) unknown.push(`model “${String(first.model)}”`);
  toast(unknown.length > 0 ? `This model does not know ${unknown.join(", ")}.` : "Took the settings of the picture.");
  write(settings);
  draw("show");
}

// --- wiring -------------------------------------------------------------------------------------------------------

form.addEventListener("submit", (event) => {
  event.preventDefault();
  draw("show");
});
stopButton.addEventListener("click", () => void studio?.stop());
byId("dice").addEventListener("click", () => roll());
byId("loading-stop").addEventListener("click", () => loadControl?.abort());
byId("device-option").addEventListener("change", () => {
  const next = query();
  next.set("device", byId<HTMLSelectElement>("device-option").value);
  history.replaceState(null, "", `?${next.toString()}`);
  void open();
});
live.addEventListener("change", () => {
  liveWasChosen = true;
  if (live.checked) changed();
});
for (const field of [seedField, stepsField]) field.addEventListener("change", () => changed());
for (const id of ["count", "sampler", "view"]) byId(id).addEventListener("change", () => changed());
byId("preview").addEventListener("change", () => {
  if (studio) studio.preview = chosen(form, "preview") === "latent" ? "latent" : "denoised";
  draw("show");
});
byId("save-sheet").addEventListener("click", () => void saveSheet(sheet).catch(fail));
byId("copy-link").addEventListener("click", async () => {
  remember(read());
  try {
    await navigator.clipboard.writeText(location.href);
    toast("Link copied: it draws this sheet again.");
  } catch {
    toast("The browser does not let the link be copied; it is in the address bar.");
  }
});

function roll(): void {
  seedField.value = String(randomSeed());
  draw("show");
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || detail.isOpen) return;
  const target = event.target as HTMLElement;
  const acts = target.closest("button, a, select, summary") !== null;
  const types = target.closest("input:not([type=range], [type=radio], [type=checkbox])") !== null;
  if (event.key === "Escape") void studio?.stop();
  else if (event.key === "Enter" && !acts && !form.contains(target)) draw("show");
  else if (event.key === "Enter" && target instanceof HTMLInputElement && !types) {
    event.preventDefault(); // a radio button or a switch submits nothing by itself in every browser
    draw("show");
  } else if (event.key.toLowerCase() === "r" && !types) roll();
});

document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  const file = event.dataTransfer?.files[0];
  if (file) restore(file).catch(() => toast("This is not a PNG picture."));
});
window.addEventListener("pagehide", () => model?.dispose());
// Out of the back-forward cache the page comes without its model.
window.addEventListener("pageshow", (event) => event.persisted && void open());

const mark = new Wordmark(byId<HTMLCanvasElement>("wordmark"));
setUpTheme(() => mark.draw(1));
const device = query().get("device");
if (device === "cpu" || device === "webgpu") byId<HTMLSelectElement>("device-option").value = device;
void offerModels().then(open);
