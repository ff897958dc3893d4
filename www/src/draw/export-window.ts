import { AbortedError, type Model } from "freeguide";
import { byId, chosen, make } from "../app/dom.js";
import { complain, say, toast } from "../app/notice.js";
import type { Settings } from "../app/settings.js";
import { drawMany, saveSprites, saveZip, type Finished } from "./batch.js";
import { saveSheet } from "./save.js";
import type { Sheet } from "./sheet.js";

const FACTORS = [1, 2, 4, 8, 16, 32, 64];
const LARGEST_SIDE = 1024;
const MOST_PICTURES = 1000;

/** The window that saves the sheet with its caption, a sprite sheet, or a ZIP of any number of pictures. */
export class ExportWindow {
  readonly #dialog = byId<HTMLDialogElement>("export");
  readonly #sheet: Sheet;
  readonly #settings: () => Settings;
  readonly #count = make("input", { type: "number", id: "export-count", min: "1", max: String(MOST_PICTURES), inputMode: "numeric" });
  readonly #factor = make("select", { id: "export-factor" });
  readonly #bar = make("progress", { max: 1, value: 0, "aria-label": "Pictures drawn" });
  readonly #save = make("button", { type: "submit", className: "primary", id: "export-save" }, "Save");
  readonly #cancel = make("button", { type: "button", className: "quiet", id: "export-cancel" }, "Cancel");
  readonly #form: HTMLFormElement;
  #model: Model | undefined;
  #control: AbortController | undefined;

  constructor(sheet: Sheet, settings: () => Settings) {
    this.#sheet = sheet;
    this.#settings = settings;
    const kind = (value: string, title: string, words: string): HTMLElement =>
      make("label", { className: "choice" }, make("input", { type: "radio", name: "kind", value }), make("b", {}, title), make("span", {}, words));
    this.#form = make(
      "form",
      { className: "window" },
      make("h2", { id: "export-title" }, "Save pictures"),
      make(
        "fieldset",
        { className: "choices" },
        make("legend", { className: "unseen" }, "Format"),
        kind("sheet", "Sheet", "as shown, with its settings as a caption"),
        kind("sprites", "Sprite sheet", "edge to edge, without gaps"),
        kind("zip", "ZIP", "one PNG for each picture"),
      ),
      make(
        "div",
        { className: "fields", id: "export-fields" },
        make("div", { className: "field" }, make("label", { htmlFor: "export-count" }, "Pictures of this seed"), this.#count),
        make("div", { className: "field" }, make("label", { htmlFor: "export-factor" }, "Enlarge each pixel to"), this.#factor),
      ),
      make("p", { className: "fine" }, "Every file contains the settings that drew it: drop one on this page to restore them."),
      this.#bar,
      make("p", { className: "row" }, this.#save, this.#cancel),
    );
    this.#dialog.append(this.#form);
    this.#form.addEventListener("change", () => this.#show());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#run();
    });
    this.#cancel.addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("close", () => this.#control?.abort());
    this.#dialog.addEventListener("click", (event) => {
      if (event.target === this.#dialog) this.#dialog.close();
    });
  }

  open(model: Model): void {
    this.#model = model;
    const { size } = model.config.image;
    const factors = FACTORS.filter((times) => times * size <= LARGEST_SIDE || times === 1);
    this.#factor.replaceChildren(
      ...factors.map((times) =>
        make("option", { value: String(times) }, times === 1 ? `one pixel: ${size} × ${size}` : `${times} × ${times} pixels: ${size * times} × ${size * times}`),
      ),
    );
    this.#count.value = String(this.#settings().count);
    const [first] = this.#form.querySelectorAll<HTMLInputElement>("input[type=radio]");
    if (first && !this.#form.querySelector("input:checked")) first.checked = true;
    this.#bar.hidden = true;
    this.#save.disabled = false;
    this.#show();
    this.#dialog.showModal();
  }

  #show(): void {
    byId("export-fields").hidden = chosen(this.#form, "kind") === "sheet";
  }

  async #run(): Promise<void> {
    const kind = chosen(this.#form, "kind");
    try {
      if (kind === "sheet") {
        await saveSheet(this.#sheet);
      } else {
        const pictures = await this.#pictures();
        const times = Number(this.#factor.value);
        await (kind === "zip" ? saveZip(pictures, times) : saveSprites(pictures, times));
        say(`Saved ${pictures.length} ${pictures.length === 1 ? "picture" : "pictures"}`);
      }
      this.#dialog.close();
    } catch (error) {
      if (error instanceof AbortedError) toast("Nothing was saved.");
      else complain(error);
    } finally {
      this.#save.disabled = false;
    }
  }

  async #pictures(): Promise<Finished[]> {
    const wanted = Math.round(Number(this.#count.value)) || 1;
    const count = Math.min(MOST_PICTURES, Math.max(1, wanted));
    const settings = this.#settings();
    const there = this.#sheet.finished(settings);
    if (there.length >= count) return there.slice(0, count);
    if (!this.#model) return [];
    const control = new AbortController();
    this.#control = control;
    this.#bar.hidden = false;
    this.#bar.removeAttribute("value");
    this.#save.disabled = true;
    return drawMany(this.#model, settings, count, control.signal, (done) => {
      this.#bar.value = done / count;
    });
  }
}
