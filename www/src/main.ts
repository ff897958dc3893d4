import "./style.css";
import { loadModel, pngText, type DeviceOption, type Model } from "freeguide";
import { ClassChips } from "./classes.js";
import { Controls } from "./controls.js";
import { Detail } from "./detail.js";
import { byId, make } from "./dom.js";
import { setUpKeyboard } from "./keyboard.js";
import { Loading } from "./loading.js";
import { modelUrl, shippedModels } from "./models.js";
import { complain, say, time, toast } from "./notice.js";
import { hideProblem, showProblem } from "./problem.js";
import { showProvenance } from "./provenance.js";
import { Rail } from "./rail.js";
import { sheetOf } from "./restore.js";
import { savePicture, saveSheet } from "./save.js";
import { Scrubber } from "./scrubber.js";
import { randomSeed, readSettings, writeSettings, type Settings } from "./settings.js";
import { Sheet } from "./sheet.js";
import { Studio, type Manner } from "./studio.js";
import { setUpTheme } from "./theme.js";
import { Wordmark } from "./wordmark.js";

const form = byId<HTMLFormElement>("console");
const live = byId<HTMLInputElement>("live");
const drawButton = byId<HTMLButtonElement>("draw");
const stopButton = byId<HTMLButtonElement>("stop");

const loading = new Loading();
const detail = new Detail(complain);
const sheet = new Sheet({
  open: (tile) => (tile.drawn ? detail.open(tile) : draw("show")),
  save: (tile) => void savePicture(tile).catch(complain),
  pick(w) {
    rail.value = w;
    controls.view = "sheet";
    draw("show");
  },
});
const scrubber = new Scrubber(sheet);
const chips = new ClassChips(() => changed());
const rail = new Rail(
  () => {
    // A sweep has its own strengths: whoever moves the rail wants to see one.
    controls.view = "sheet";
    changed("draft");
  },
  () => changed(),
);
const controls = new Controls(chips, rail);

let model: Model | undefined;
let studio: Studio | undefined;
let loadControl: AbortController | undefined;
/** What the address calls the model: said in every link, since another one may ship first some day. */
let modelAsked = "";
/** Whether the visitor has decided about `live`; until then the speed of the device does. */
let liveWasChosen = false;
let settling: number | undefined;

const query = (): URLSearchParams => new URLSearchParams(location.search);

// --- drawing ------------------------------------------------------------------------------------------------------

function remember(settings: Settings): void {
  const before = query();
  before.set("model", modelAsked);
  const search = writeSettings(settings, before).toString();
  // Browsers limit how often the address may change: what a drag passes over is not worth it.
  history.replaceState(null, "", `?${search}`);
}

/** A setting changed: draws again where that is wanted, else says that the sheet is out of date. */
function changed(manner: Manner = "swap"): void {
  window.clearTimeout(settling);
  if (!studio) return;
  const settings = controls.read();
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

function draw(manner: Manner): void {
  window.clearTimeout(settling);
  if (!studio) return;
  const settings = controls.read();
  remember(settings);
  studio.order(settings, manner);
}

function showBusy(busy: boolean): void {
  // The focus goes along, so that Enter and Esc stay under the same finger.
  const held = document.activeElement === drawButton || document.activeElement === stopButton;
  drawButton.hidden = busy;
  stopButton.hidden = !busy;
  if (held) (busy ? stopButton : drawButton).focus();
  document.body.classList.toggle("busy", busy);
}

function startStudio(loaded: Model): Studio {
  let doneSteps = 0;
  let allSteps = 0;
  let meanStep = 0;
  let drafting = false;
  let busySoon: number | undefined;
  const made = new Studio(loaded, sheet, {
    begin(manner) {
      doneSteps = 0;
      meanStep = 0;
      drafting = manner === "draft";
      if (drafting) return;
      // A redraw that takes no time shall not make the button flicker.
      busySoon = window.setTimeout(() => showBusy(true), manner === "show" ? 0 : 300);
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
      if (!drafting) scrubber.progress(done, all);
    },
    end({ manner, finished, milliseconds }) {
      if (manner === "draft") return;
      window.clearTimeout(busySoon);
      showBusy(false);
      scrubber.end();
      if (!finished) {
        if (!made.busy) say(`Stopped after ${doneSteps} of ${allSteps} steps`);
        return;
      }
      byId("meter-total").textContent = time(milliseconds);
      const tiles = sheet.tiles.length;
      say(`Drew ${tiles} ${tiles === 1 ? "picture" : "pictures"} in ${time(milliseconds)}`);
      if (!liveWasChosen) live.checked = (made.estimate(controls.read()) ?? Infinity) < 2000;
    },
    fail: (error) => broken(error),
  });
  made.preview = controls.preview;
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
  controls.enabled = false;
  loading.begin();
  const device = byId<HTMLSelectElement>("device-option").value as DeviceOption;
  try {
    const asked = query().get("model") ?? (await shippedModels())[0]?.folder;
    modelAsked = asked ?? "";
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
  controls.write(settings);
  if (unknown.length > 0) toast(`This model does not know ${unknown.join(", ")}.`);
  byId("model-name").textContent = byId("model-pick").hidden ? config.name : "";
  byId("meter-device").textContent = device.name;
  byId("meter-device").dataset.kind = device.kind;
  byId("refused-title").textContent = device.refused.length > 0 ? "Why not the GPU?" : "Choose the device";
  byId("refused-words").textContent = device.refused.map(({ reason }) => `${reason}.`).join(" ");
  showProvenance(config);
  studio = startStudio(loaded);
  controls.enabled = true;
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

/** Takes over the settings of a picture that was saved here or by `freeguide sample`. */
async function restore(file: File): Promise<void> {
  const pictures = pngText(new Uint8Array(await file.arrayBuffer()));
  if (!model || !pictures || pictures.length === 0) {
    toast("This picture carries no settings of freeguide.");
    return;
  }
  const { settings, unknown } = sheetOf(pictures, model.config);
  toast(unknown.length > 0 ? `This model does not know ${unknown.join(", ")}.` : "Took the settings of the picture.");
  controls.write(settings);
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
controls.onChange(() => changed());
byId("preview").addEventListener("change", () => {
  if (studio) studio.preview = controls.preview;
  draw("show");
});
byId("save-sheet").addEventListener("click", () => void saveSheet(sheet).catch(complain));
byId("copy-link").addEventListener("click", async () => {
  remember(controls.read());
  try {
    await navigator.clipboard.writeText(location.href);
    toast("Link copied: it draws this sheet again.");
  } catch {
    toast("The browser does not let the link be copied; it is in the address bar.");
  }
});

function roll(): void {
  controls.seed = randomSeed();
  draw("show");
}

setUpKeyboard({
  draw: () => draw("show"),
  stop: () => void studio?.stop(),
  roll,
  blocked: () => detail.isOpen,
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
