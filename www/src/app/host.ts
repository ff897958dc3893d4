import { loadModel, type BundleFiles, type DeviceOption, type Model } from "freeguide";
import { byId, make } from "./dom.js";
import { Guides } from "./guides.js";
import { Loading } from "./loading.js";
import { modelUrl, openedModel, shippedModels, type ShippedModel } from "./models.js";
import { hideProblem, showProblem } from "./problem.js";
import { showProvenance } from "./provenance.js";

/** Where a model comes from. */
export interface Source {
  /** Its name in the address; undefined for dropped files, which an address cannot name. */
  readonly asked: string | undefined;
  /** Its name in the list of models. */
  readonly name: string;
  readonly bundle: string | BundleFiles;
}

const deviceOption = byId<HTMLSelectElement>("device-option");
const pick = byId<HTMLSelectElement>("model");

/** The address's query. */
export const query = (): URLSearchParams => new URLSearchParams(location.search);

/** Replaces the address's query. */
export function setQuery(search: URLSearchParams): void {
  history.replaceState(null, "", `?${search.toString()}${location.hash}`);
}

/** Holds the one model that all parts draw with. */
export class ModelHost {
  readonly #loading = new Loading();
  readonly #onModel: (model: Model | undefined) => void;
  readonly #added: Source[] = [];
  readonly #guides: Guides;
  #source: Source | undefined;
  #control: AbortController | undefined;
  #model: Model | undefined;

  /** `onModel` is called with undefined when a model is closed, and with every model that is opened. */
  constructor(onModel: (model: Model | undefined) => void) {
    this.#onModel = onModel;
    byId("loading-stop").addEventListener("click", () => this.#control?.abort());
    const device = query().get("device");
    if (device === "cpu" || device === "webgpu") deviceOption.value = device;
    deviceOption.addEventListener("change", () => {
      const next = query();
      next.set("device", deviceOption.value);
      setQuery(next);
      void this.reopen();
    });
    this.#guides = new Guides((folder) => {
      const next = query();
      if (folder === undefined) next.delete("guide");
      else next.set("guide", folder);
      setQuery(next);
      void this.reopen();
    });
    pick.addEventListener("change", () => {
      const added = this.#added.find(({ name }) => name === pick.value);
      const source = added ?? { asked: pick.value, name: pick.value, bundle: modelUrl(pick.value) };
      // The settings of one model rarely suit another.
      setQuery(source.asked === undefined ? new URLSearchParams() : new URLSearchParams({ model: source.asked }));
      void this.open(source);
    });
    for (const opening of ["pointerdown", "keydown"]) pick.addEventListener(opening, fetchPictures);
    window.addEventListener("pagehide", () => this.#model?.dispose());
    // A page from the back-forward cache has lost its model.
    window.addEventListener("pageshow", (event) => event.persisted && this.#source && void this.reopen());
  }

  get model(): Model | undefined {
    return this.#model;
  }

  /** The model's name in the address. Every link has it, since the default model may change. */
  get asked(): string | undefined {
    return this.#source?.asked;
  }

  /** The name in the address of the model that is open, or would be opened; undefined for dropped files. */
  async named(): Promise<string | undefined> {
    return this.#source ? this.#source.asked : (query().get("model") ?? (await openedModel()));
  }

  /** Opens the model that the address names, or else the one that the page opens with, unless a model was already opened. */
  async start(): Promise<void> {
    if (this.#source) return;
    const asked = await this.named();
    if (asked === undefined) {
      this.broken(new Error("no model ships with this page; open one of yours, or name one with ?model=ADDRESS"));
      return;
    }
    await this.open({ asked, name: asked, bundle: modelUrl(asked) });
  }

  async reopen(): Promise<void> {
    if (this.#source) await this.open(this.#source);
  }

  /** Replaces the model by another. Errors are shown; resolves to whether it was loaded. */
  async open(source: Source): Promise<boolean> {
    this.#control?.abort();
    const control = new AbortController();
    this.#control = control;
    this.#source = source;
    this.#close();
    hideProblem();
    this.#loading.begin();
    void this.#offer(source);
    const guide = query().get("guide") ?? undefined;
    try {
      const model = await loadModel(source.bundle, {
        device: deviceOption.value as DeviceOption,
        guide: guide === undefined ? undefined : modelUrl(guide),
        signal: control.signal,
        onProgress: (progress) => {
          // A GPU may be prepared beside a model that is there already; its device says so.
          if (control.signal.aborted || this.#model) return;
          this.#loading.show(progress);
        },
        onDevice: () => this.#model && this.#describeDevice(this.#model),
      });
      if (control.signal.aborted) {
        model.dispose();
        return false;
      }
      this.#model = model;
      this.#loading.end();
      this.#describe(model);
      void this.#guides.offer(model.config, source.asked, guide);
      this.#onModel(model);
      return true;
    } catch (error) {
      if (this.#control === control) this.broken(error);
      return false;
    }
  }

  /** Shows an error in place of the pictures. */
  broken(error: unknown): void {
    const onGpu = this.#model?.device.kind === "webgpu" || deviceOption.value === "webgpu";
    this.#loading.end();
    this.#close();
    showProblem(error, {
      retry: () => void (this.#source ? this.reopen() : this.start()),
      useCpu: onGpu
        ? () => {
            deviceOption.value = "cpu";
            void this.reopen();
          }
        : undefined,
    });
  }

  #close(): void {
    const open = this.#model;
    this.#model = undefined;
    this.#onModel(undefined);
    open?.dispose();
  }

  #describe(model: Model): void {
    const { config } = model;
    byId("model-name").textContent = byId("model-pick").hidden ? config.name : "";
    this.#describeDevice(model);
    showProvenance(config);
  }

  /** Says where the model runs, which may change while it is open. */
  #describeDevice({ device }: Model): void {
    const { name, kind, preparing, refused, why } = device;
    byId("meter-device").textContent = preparing ? `${name}, preparing the GPU` : name;
    byId("meter-device").dataset.kind = kind;
    byId("refused-title").textContent = refused.length > 0 ? "Why not the GPU?" : "Choose the device";
    const reasons = refused.length > 0 ? refused.map(({ reason }) => reason) : [why];
    byId("refused-words").textContent = reasons.map((reason) => `${reason}.`).join(" ");
  }

  /** Lists the models to choose from, if there is more than one. */
  async #offer(source: Source): Promise<void> {
    const shipped = await shippedModels();
    const isShipped = shipped.some(({ folder }) => folder === source.asked);
    if (!isShipped && !this.#added.some(({ name }) => name === source.name)) this.#added.push(source);
    const options = [
      ...shipped.map(optionOf),
      ...this.#added.map(({ name }) => make("option", { value: name }, name.replace(/\/+$/, "").split("/").pop() ?? name)),
    ];
    // What the closed list shows is a copy of the option that is chosen.
    const closed = richLists ? [make("button", {}, document.createElement("selectedcontent"))] : [];
    pick.replaceChildren(...closed, ...options);
    pick.value = isShipped ? (source.asked ?? "") : source.name;
    byId("model-pick").hidden = options.length < 2;
    if (!byId("model-pick").hidden) byId("model-name").textContent = "";
  }
}

/** Fetches the pictures of the list, which nobody sees before it is opened. */
function fetchPictures(): void {
  for (const image of pick.querySelectorAll<HTMLImageElement>("option img[data-src]")) {
    image.addEventListener("error", () => image.remove());
    image.src = image.dataset.src ?? "";
    image.removeAttribute("data-src");
  }
}

/** Whether lists can hold more than text. */
const richLists = CSS.supports("appearance", "base-select");

/** A model in the list, with some of its samples where lists can show pictures. */
function optionOf({ folder, name, classes, size, picture }: ShippedModel): HTMLOptionElement {
  if (!richLists) return make("option", { value: folder }, name);
  const image = make("span", { className: "model-picture" });
  if (picture) image.append(make("img", { alt: "", "data-src": `${modelUrl(folder)}images/${picture}` }));
  const words = make("span", { className: "model-words" }, name, make("small", {}, `${size}×${size}, ${classes} classes`));
  return make("option", { value: folder }, image, words);
}
