import "./style/index.css";
import { byId } from "./app/dom.js";
import { ModelHost } from "./app/host.js";
import { setUpKeyboard } from "./app/keyboard.js";
import { toast } from "./app/notice.js";
import { setUpOffline } from "./app/offline.js";
import { Parts, type Part, type Tab } from "./app/parts.js";
import { Rail } from "./app/rail.js";
import { setUpTheme } from "./app/theme.js";
import { Wordmark } from "./app/wordmark.js";
import { DrawPart } from "./draw/part.js";
import { droppedFiles, sourceOf } from "./own/dropped.js";

const rail = new Rail(
  () => parts.current?.guidance?.(false),
  () => parts.current?.guidance?.(true),
);
const told = new Set<Part>();
const host = new ModelHost((model) => {
  for (const part of told) part.model?.(model);
  if (model) keep(model);
});
const draw = new DrawPart(host, rail);
const keep = setUpOffline(host);

const tabs: readonly Tab[] = [
  {
    name: "draw",
    title: "freeguide: a guidance laboratory",
    needsModel: true,
    make: async () => draw,
  },
  {
    name: "guidance",
    title: "See guidance · freeguide",
    needsModel: true,
    make: async (root) => new (await import("./guidance/part.js")).GuidancePart(root, host, rail),
  },
  {
    name: "toy",
    title: "The toy · freeguide",
    needsModel: false,
    make: async (root) => new (await import("./toy/part.js")).ToyPart(root, rail),
  },
  {
    name: "own",
    title: "Your model · freeguide",
    needsModel: false,
    make: async (root) => new (await import("./own/part.js")).OwnPart(root, host),
  },
  {
    name: "embed",
    title: "Embed · freeguide",
    needsModel: false,
    make: async (root) => new (await import("./embed/part.js")).EmbedPart(root, host),
  },
];

const parts = new Parts(tabs, ({ needsModel }) => {
  const part = parts.current;
  if (part && !told.has(part)) {
    told.add(part);
    if (host.model) part.model?.(host.model);
  }
  if (needsModel) void host.start();
});

setUpKeyboard({
  draw: () => parts.current?.draw?.(),
  stop: () => parts.current?.stop?.(),
  roll: () => parts.current?.roll?.(),
  blocked: () => document.querySelector("dialog[open]") !== null,
});

byId("copy-link").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(location.href);
    toast("Link copied. It shows this sheet again.");
  } catch {
    toast("The browser does not allow copying. The link is in the address bar.");
  }
});

document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  if (!event.dataTransfer) return;
  // Before the first await, after which the browser no longer has the dropped files.
  const dropped = droppedFiles(event.dataTransfer);
  const picture = event.dataTransfer.files[0];
  try {
    const source = sourceOf(await dropped);
    if (source) {
      if (await host.open(source)) toast(`Opened ${source.name}.`);
    } else if (picture) {
      location.hash = "#draw";
      await draw.restore(picture);
    }
  } catch {
    toast("This is neither a PNG picture nor the folder of a model.");
  }
});

const mark = new Wordmark(byId<HTMLCanvasElement>("wordmark"));
setUpTheme(() => {
  mark.draw(1);
  parts.current?.theme?.();
});
void parts.start();
