import type { Model } from "freeguide";
import { byId, make } from "../app/dom.js";
import { setQuery, type ModelHost, type Source } from "../app/host.js";
import { toast } from "../app/notice.js";
import type { Part } from "../app/parts.js";
import { bundleAddress } from "./address.js";
import { chosenFiles, sourceOf } from "./dropped.js";

/** Bring your own model: a bundle's folder or address, and a description of it. */
export class OwnPart implements Part {
  readonly #host: ModelHost;
  readonly #address = make("input", {
    type: "text",
    id: "own-address",
    placeholder: "https://example.org/model/ or user/repository",
    autocomplete: "off",
    spellcheck: false,
    inputMode: "url",
  });
  readonly #card = make("section", { className: "card", id: "own-card", "aria-label": "The model that is open", hidden: true });

  constructor(root: HTMLElement, host: ModelHost) {
    this.#host = host;
    const folder = make("input", { type: "file", id: "own-folder", className: "unseen", webkitdirectory: true, multiple: true });
    const zone = make(
      "div",
      { className: "dropzone", id: "own-drop" },
      make("p", { className: "big" }, "Drop a model’s folder here"),
      make("p", { className: "fine" }, "config.json and its weights, as freeguide export writes them. They stay on this device."),
      make("p", {}, make("label", { htmlFor: "own-folder", className: "button" }, "Choose a folder"), folder),
    );
    for (const name of ["dragenter", "dragover"]) zone.addEventListener(name, () => zone.classList.add("over"));
    for (const name of ["dragleave", "drop"]) zone.addEventListener(name, () => zone.classList.remove("over"));
    folder.addEventListener("change", () => {
      const source = folder.files && sourceOf(chosenFiles(folder.files));
      folder.value = "";
      if (source) void this.#open(source);
      else toast("There is no config.json in this folder, so it is not a model.");
    });
    const form = make(
      "form",
      { className: "address" },
      make("label", { htmlFor: "own-address" }, "Or its address"),
      make("span", { className: "joined" }, this.#address, make("button", { type: "submit", className: "primary" }, "Open")),
      make("p", { className: "fine" }, "A folder on any host that allows cross-origin requests (CORS), or a Hugging Face repository."),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#openAddress();
    });
    root.replaceChildren(
      make(
        "div",
        { className: "prose" },
        make("h2", {}, "Bring your own model"),
        make("p", {}, "Before it is used, everything is checked: the length and SHA-256 of every file, and the name, shape and values of every tensor. Errors are explained."),
      ),
      make("div", { className: "columns" }, zone, form),
      make("div", { className: "slot", "data-place": "loading problem" }),
      this.#card,
      make(
        "div",
        { className: "prose" },
        make("h3", {}, "Make one"),
        make("p", {}, "From a folder with one folder of images for each class. On two processor cores a 16 × 16 model takes about an hour."),
        make(
          "pre",
          { tabIndex: 0, role: "region", "aria-label": "Commands" },
          make("code", {}, "freeguide train  --recipe models/recipes/folder16.toml --data my-images --out runs/mine\nfreeguide export --run runs/mine --out models/mine --dtype f16"),
        ),
      ),
    );
  }

  show(): void {
    this.#describe(this.#host.model);
  }

  model(model: Model | undefined): void {
    this.#describe(model);
  }

  #openAddress(): void {
    const address = bundleAddress(this.#address.value);
    if (address === undefined) {
      this.#address.setCustomValidity("An address begins with https://; a Hugging Face repository is user/repository.");
      this.#address.reportValidity();
      this.#address.addEventListener("input", () => this.#address.setCustomValidity(""), { once: true });
      return;
    }
    const name = address.replace(/\/resolve\/[^/]+\/$/, "").replace(/\/+$/, "").split("/").pop() ?? address;
    void this.#open({ asked: address, name, bundle: address });
  }

  async #open(source: Source): Promise<void> {
    // The settings of one model rarely suit another.
    setQuery(new URLSearchParams(source.asked === undefined ? {} : { model: source.asked }));
    if (await this.#host.open(source)) toast(`Opened ${source.name}.`);
  }

  #describe(model: Model | undefined): void {
    this.#card.hidden = model === undefined;
    if (!model) return;
    const { config, device } = model;
    const { provenance, image, weights } = config;
    const bytes = weights.reduce((sum, file) => sum + file.bytes, 0);
    const facts: [string, string | undefined][] = [
      ["Images", `${image.size} × ${image.size}, ${image.channels === 1 ? "grey" : "colour"}`],
      ["Classes", `${config.classes.length}: ${config.classes.slice(0, 12).join(", ")}${config.classes.length > 12 ? ", …" : ""}`],
      ["Network", `${config.network.kind}${provenance.parameters ? `, ${(provenance.parameters / 1e6).toFixed(1)} M weights` : ""}, ${(bytes / 1e6).toFixed(1)} MB`],
      ["Trained on", provenance.dataset],
      ["Licence", provenance.license],
      ["Written by", config.written_by],
      ["Runs on", device.name],
    ];
    const list = make("dl", {});
    for (const [name, value] of facts) if (value) list.append(make("div", {}, make("dt", {}, name), make("dd", {}, value)));
    this.#card.replaceChildren(
      make("h3", {}, config.name),
      list,
      make("p", { className: "row" }, make("a", { href: "#draw", className: "button primary" }, "Draw with it"), make("a", { href: "#guidance", className: "button" }, "See its guidance")),
    );
    byId("own-address").blur();
  }
}
