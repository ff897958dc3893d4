import type { Model } from "freeguide";
import { make } from "../app/dom.js";
import { query, type ModelHost } from "../app/host.js";
import { toast } from "../app/notice.js";
import { modelUrl } from "../app/models.js";
import type { Part } from "../app/parts.js";
import { optionsOf, readSettings, type Settings } from "../app/settings.js";
import { commandSnippet, elementAttributes, elementSnippet, moduleSnippet, pageSnippet, type Embedding } from "./snippets.js";

/** The settings of the address, read without a model. */
function settingsOfAddress(): Settings {
  const asked = query();
  const classes = asked.getAll("class").filter((name) => name !== "none");
  const sampling = { sampler: "ddim", steps: 32, guidance: 2 } as const;
  return readSettings(asked, { classes, sampling, image: { size: 16 } }).settings;
}

/** Settings without those of a picture to start from, which no snippet has. */
function withoutPicture(settings: Settings): Settings {
  return { ...settings, drawing: optionsOf(settings.drawing, undefined) };
}

/** Snippets to copy, with the settings of the address filled in. */
export class EmbedPart implements Part {
  readonly #host: ModelHost;
  readonly #packageFolder = make("input", { type: "text", id: "embed-package", value: "./freeguide/", spellcheck: false });
  readonly #modelFolder = make("input", { type: "text", id: "embed-model", spellcheck: false });
  readonly #codes = new Map<string, HTMLElement>();
  readonly #preview = make("div", { className: "preview", id: "embed-preview" });

  constructor(root: HTMLElement, host: ModelHost) {
    this.#host = host;
    const field = (id: string, label: string, input: HTMLElement): HTMLElement =>
      make("div", { className: "field" }, make("label", { htmlFor: id }, label), input);
    for (const input of [this.#packageFolder, this.#modelFolder]) input.addEventListener("input", () => this.#fill());
    const show = make("button", { type: "button", className: "quiet", id: "embed-show" }, "Show it here");
    show.addEventListener("click", () => void this.#show());
    root.replaceChildren(
      make(
        "div",
        { className: "prose" },
        make("h2", {}, "Put it on your page"),
        make("p", {}, "A static host is enough: no server, no API key. The snippets contain the settings that you drew with last."),
      ),
      make(
        "div",
        { className: "fields narrow" },
        field("embed-package", "Folder of the package", this.#packageFolder),
        field("embed-model", "Folder of the model", this.#modelFolder),
      ),
      make(
        "div",
        { className: "snippets" },
        this.#snippet("element", "An element", "For a page without JavaScript of its own. It draws pictures of one seed. Style it with --freeguide-accent and the other custom properties, and ::part(draw).", show),
        this.#preview,
        this.#snippet("page", "A plain page", "The pictures at every step, on your own canvases."),
        this.#snippet("module", "A project with a bundler", "Typed, without dependencies, and without side effects on import."),
        this.#snippet("command", "The command line", "The same pictures, natively."),
      ),
      make(
        "div",
        { className: "prose" },
        make("h3", {}, "Where the files come from"),
        make(
          "p",
          {},
          make("code", {}, "cargo xtask package"),
          " writes freeguide-0.1.0.tgz: npm install takes it, or tar xf unpacks it into a folder to be served beside your page. A model is a folder like those under models/.",
        ),
        ...reference(),
      ),
    );
  }

  show(): void {
    void this.#host.named().then((asked) => {
      this.#modelFolder.value = asked === undefined ? "./models/mine/" : modelUrl(asked);
      this.#fill();
    });
  }

  hide(): void {
    this.#preview.replaceChildren();
  }

  model(_model: Model | undefined): void {
    this.#fill();
  }

  get #embedding(): Embedding {
    const { model } = this.#host;
    const folder = (text: string): string => (text.endsWith("/") ? text : `${text}/`);
    const guide = query().get("guide");
    return {
      packageFolder: folder(this.#packageFolder.value || "./freeguide"),
      model: folder(this.#modelFolder.value || "./models/mine"),
      ...(guide !== null && { guide: modelUrl(guide) }),
      settings: withoutPicture(model ? readSettings(query(), model.config).settings : settingsOfAddress()),
    };
  }

  #snippet(name: string, title: string, words: string, ...extra: HTMLElement[]): HTMLElement {
    const code = make("code", { id: `embed-${name}` });
    this.#codes.set(name, code);
    const copy = make("button", { type: "button", className: "quiet", "aria-label": `Copy: ${title}` }, "Copy");
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent ?? "");
        toast("Copied.");
      } catch {
        toast("The browser does not allow copying. Select the text instead.");
      }
    });
    return make(
      "section",
      { className: "snippet", "aria-label": title },
      make("div", { className: "over" }, make("h3", {}, title), make("span", { className: "row" }, ...extra, copy)),
      make("p", { className: "fine" }, words),
      make("pre", { tabIndex: 0, role: "region", "aria-label": `${title}: code` }, code),
    );
  }

  #fill(): void {
    const embedding = this.#embedding;
    const texts: Record<string, string> = {
      element: elementSnippet(embedding),
      page: pageSnippet(embedding),
      module: moduleSnippet(embedding),
      command: commandSnippet(embedding, this.#modelFolder.value.replace(/^\.\//, "").replace(/\/$/, "") || "models/mine"),
    };
    for (const [name, code] of this.#codes) code.textContent = texts[name] ?? "";
  }

  /** The element itself, with the attributes of the snippet. */
  async #show(): Promise<void> {
    await import("freeguide/element");
    const embedding = this.#embedding;
    const element = document.createElement("freeguide-sampler");
    const asked = await this.#host.named();
    if (asked === undefined) {
      toast("A dropped model has no address for the element. Open it by its address instead.");
      return;
    }
    const attributes = [["model", modelUrl(asked)], ...elementAttributes(embedding), ["device", this.#host.model?.device.kind ?? "auto"]] as const;
    for (const [name, value] of attributes) element.setAttribute(name, value);
    this.#preview.replaceChildren(element);
  }
}

/** Where the documentation of the package is, if the page was built with it. */
function reference(): HTMLElement[] {
  const href: string = import.meta.env.VITE_REFERENCE ?? "";
  if (href === "") return [];
  const link = make("a", { href, id: "embed-reference" }, "The documentation of the package");
  return [make("p", {}, link, " describes every export, type and option.")];
}
