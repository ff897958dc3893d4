import { pngText, type Model, type ModelConfig } from "freeguide";
import { remember } from "../app/address.js";
import { byId } from "../app/dom.js";
import { query, type ModelHost } from "../app/host.js";
import { complain, say, time, toast } from "../app/notice.js";
import type { Part } from "../app/parts.js";
import type { Rail } from "../app/rail.js";
import { canBeGuided, randomSeed, readSettings, strengthsOf, type Settings, type View } from "../app/settings.js";
import { Beside } from "./beside.js";
import { ClassChips } from "./classes.js";
import { Controls } from "./controls.js";
import { Detail } from "./detail.js";
import { Easel } from "./easel.js";
import { ExportWindow } from "./export-window.js";
import { sheetOf } from "./restore.js";
import { savePicture } from "./save.js";
import { Scrubber } from "./scrubber.js";
import { Sheet } from "./sheet.js";
import { Studio, type Manner } from "./studio.js";

const form = byId<HTMLFormElement>("console");
const live = byId<HTMLInputElement>("live");
const drawButton = byId<HTMLButtonElement>("draw");
const stopButton = byId<HTMLButtonElement>("stop");

/** How often every step is taken where a part of a picture is drawn anew. */
const RESAMPLING = 3;

/** The generator: a sheet of pictures and its settings. */
export class DrawPart implements Part {
  readonly #host: ModelHost;
  readonly #rail: Rail;
  readonly #detail: Detail;
  readonly #sheet: Sheet;
  readonly #scrubber: Scrubber;
  readonly #controls: Controls;
  readonly #chips: ClassChips;
  readonly #easel: Easel;
  readonly #export: ExportWindow;
  readonly #beside: Beside;
  #model: Model | undefined;
  #studio: Studio | undefined;
  /** Whether the visitor has set `live`; until then it depends on the speed of the device. */
  #liveWasChosen = false;
  #settling: number | undefined;
  #shown = false;

  constructor(host: ModelHost, rail: Rail) {
    this.#host = host;
    this.#rail = rail;
    this.#easel = new Easel((settled) => this.#changed(settled ? "swap" : "draft"));
    this.#detail = new Detail(complain, (view) => this.#vary(view), (picture) => this.#easel.show(picture));
    this.#sheet = new Sheet({
      open: (tile) => (tile.drawn ? this.#detail.open(tile) : this.#draw("show")),
      save: (tile) => void savePicture(tile).catch(complain),
      pick: (w) => {
        this.#rail.value = w;
        this.#controls.view = "sheet";
        this.#draw("show");
      },
    });
    this.#scrubber = new Scrubber(this.#sheet);
    this.#chips = new ClassChips((settled) => this.#changed(settled ? "swap" : "draft"));
    this.#controls = new Controls(this.#chips, rail, () => this.#changed());
    this.#export = new ExportWindow(this.#sheet, () => this.#read());
    this.#beside = new Beside(() => this.#read());
    this.#listen();
  }

  show(): void {
    this.#shown = true;
    this.#rail.strengths = this.#model && strengthsOf(this.#model.config);
    if (this.#model && !canBeGuided(this.#model.config)) {
      // The toy enables the rail.
      this.#rail.enabled = false;
      this.#rail.value = 0;
    }
    // If another part has moved the rail, the sheet is drawn again.
    if (this.#studio && this.#rail.value !== this.#sheet.runs[0]?.drawing.guidance && !this.#studio.busy) this.#changed();
  }

  hide(): void {
    this.#shown = false;
    void this.#studio?.stop();
  }

  /** Fits the part to a model and draws what the address asks for. */
  model(model: Model | undefined): void {
    void this.#studio?.stop();
    this.#studio = undefined;
    this.#model = model;
    this.#controls.enabled = model !== undefined;
    void this.#beside.offer(model);
    byId("sheet").hidden = model === undefined;
    byId("time").hidden = model === undefined;
    if (!model) return;
    this.#chips.offer(model.config);
    this.#rail.strengths = strengthsOf(model.config);
    this.#rail.enabled = canBeGuided(model.config);
    const { settings, unknown } = readSettings(query(), model.config);
    this.#controls.offer(model.config);
    this.#easel.offer(model.config.image.size, whyNoPicture(model.config));
    // Few steps are drawn while a slider moves.
    if (!this.#liveWasChosen) live.checked = model.config.network.flow_map !== undefined;
    this.#controls.write(settings);
    if (unknown.length > 0) toast(`This model does not know ${unknown.join(", ")}.`);
    this.#studio = this.#startStudio(model);
    this.#sheet.layOut(settings, model.config);
    if (this.#shown) this.#draw("show");
  }

  guidance(settled: boolean): void {
    // A sweep has its own strengths; moving the rail returns to one strength.
    if (this.#controls.view === "sweep") this.#controls.view = "sheet";
    this.#changed(settled ? "swap" : "draft");
  }

  draw(): void {
    this.#draw("show");
  }

  stop(): void {
    void this.#studio?.stop();
  }

  roll(): void {
    this.#controls.seed = randomSeed();
    this.#draw("show");
  }

  /** Restores the settings of a picture that was saved here or by `freeguide sample`. */
  async restore(file: File): Promise<void> {
    const pictures = pngText(new Uint8Array(await file.arrayBuffer()));
    if (!pictures || pictures.length === 0) {
      toast("This picture contains no freeguide settings.");
      return;
    }
    if (!this.#model) {
      toast("No model is loaded yet. Drop the picture again when one is.");
      return;
    }
    const { settings, unknown } = sheetOf(pictures, this.#model.config, query().has("guide"));
    const started = pictures[0]?.strength !== undefined ? " It was started from a picture, which is not in its file." : "";
    toast((unknown.length > 0 ? `This model does not know ${unknown.join(", ")}.` : "Restored the settings of the picture.") + started);
    this.#controls.write(settings);
    this.#draw("show");
  }

  /** Shows variations of a picture: its class alone, in the given view, with at least nine pictures. */
  #vary(view: View): void {
    const { tile } = this.#detail;
    if (!tile?.drawn) return;
    const settings = this.#controls.read();
    settings.classes = [tile.class];
    settings.drawing.seed = tile.drawn.seed;
    settings.view = view;
    settings.count = Math.max(9, settings.count);
    this.#controls.write(settings);
    this.#draw("show");
  }

  /** What the controls and the easel say. */
  #read(): Settings {
    const settings = this.#controls.read();
    const picture = this.#easel.read();
    if (!picture) return settings;
    const drawing = { ...settings.drawing, strength: this.#easel.strength };
    // Taking steps again is what fits a new part to the old one; a solver of second order cannot.
    if (picture.mask && ["ddim", "ancestral"].includes(drawing.sampler)) drawing.resampling = RESAMPLING;
    return { ...settings, drawing, picture };
  }

  /** A setting changed: draws again if `live` is on, else marks the sheet as out of date. */
  #changed(manner: Manner = "swap"): void {
    window.clearTimeout(this.#settling);
    if (!this.#studio) return;
    const settings = this.#read();
    // Browsers limit how often the address may change, so the values during a drag are skipped.
    if (manner !== "draft") remember(settings, this.#host);
    if (!live.checked) {
      drawButton.classList.add("stale");
      return;
    }
    this.#studio.order(settings, manner);
    // The thumb rests: draw with all steps although it is still held.
    if (manner === "draft") this.#settling = window.setTimeout(() => this.#changed(), 400);
  }

  #draw(manner: Manner): void {
    window.clearTimeout(this.#settling);
    if (!this.#studio) return;
    const settings = this.#read();
    remember(settings, this.#host);
    this.#studio.order(settings, manner);
  }

  #startStudio(model: Model): Studio {
    let doneSteps = 0;
    let allSteps = 0;
    let meanStep = 0;
    let drafting = false;
    let busySoon: number | undefined;
    const made = new Studio(model, this.#sheet, {
      begin: (manner) => {
        doneSteps = 0;
        meanStep = 0;
        drafting = manner === "draft";
        if (drafting) return;
        // A fast redraw should not make the button flicker.
        busySoon = window.setTimeout(() => showBusy(true), manner === "show" ? 0 : 300);
        drawButton.classList.remove("stale");
        this.#scrubber.begin();
        if (manner === "show") say("Drawing");
      },
      step: (done, all, milliseconds, nfe) => {
        doneSteps = done;
        allSteps = all;
        meanStep += (milliseconds - meanStep) / done;
        byId("meter-step").textContent = time(meanStep);
        byId("meter-nfe").textContent = String(nfe);
        if (!drafting) this.#scrubber.progress(done, all);
      },
      end: ({ manner, finished, milliseconds }) => {
        if (manner === "draft") return;
        window.clearTimeout(busySoon);
        showBusy(false);
        this.#scrubber.end();
        if (!finished) {
          if (!made.busy) say(`Stopped after ${doneSteps} of ${allSteps} steps`);
          return;
        }
        byId("meter-total").textContent = time(milliseconds);
        const tiles = this.#sheet.tiles.length;
        say(`Drew ${tiles} ${tiles === 1 ? "picture" : "pictures"} in ${time(milliseconds)}`);
        const fast = model.config.network.flow_map !== undefined || (made.estimate(this.#read()) ?? Infinity) < 2000;
        if (!this.#liveWasChosen) live.checked = fast;
      },
      fail: (error) => this.#host.broken(error),
    });
    made.preview = this.#controls.preview;
    return made;
  }

  #listen(): void {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#draw("show");
    });
    stopButton.addEventListener("click", () => this.stop());
    byId("dice").addEventListener("click", () => this.roll());
    live.addEventListener("change", () => {
      this.#liveWasChosen = true;
      if (live.checked && this.#shown) this.#changed();
    });
    byId("preview").addEventListener("change", () => {
      if (this.#studio) this.#studio.preview = this.#controls.preview;
      this.#draw("show");
    });
    byId("save").addEventListener("click", () => {
      if (this.#model) this.#export.open(this.#model);
    });
  }
}

/** Why a model cannot start from a picture; undefined if it can. */
function whyNoPicture({ network, provenance }: ModelConfig): string | undefined {
  if (network.flow_map === undefined) return undefined;
  const teacher = provenance.teacher ? `, ${provenance.teacher}` : "";
  return `This model was distilled to a few steps, which begin with noise. Choose the model that it was distilled from${teacher}, to start from a picture.`;
}

function showBusy(busy: boolean): void {
  // The focus moves along, so that Enter and Esc keep working.
  const held = document.activeElement === drawButton || document.activeElement === stopButton;
  drawButton.hidden = busy;
  stopButton.hidden = !busy;
  if (held) (busy ? stopButton : drawButton).focus();
  document.body.classList.toggle("busy", busy);
}
