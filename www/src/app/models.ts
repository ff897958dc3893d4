import type { ModelConfig } from "freeguide";

/** The bundles that ship with the page, as listed in models/index.json. */
export interface ShippedModel {
  /** Folder inside models/. */
  readonly folder: string;
  readonly name: string;
  readonly classes: number;
  /** Pixels of an image's side. */
  readonly size: number;
  /** Whether it was distilled, and so has the guided estimate alone. */
  readonly distilled?: boolean;
  /** A grid of its samples in its folder images/; null if there is none. */
  readonly picture?: string | null;
  /** Whether it has figures.json, the results of `freeguide eval`. */
  readonly figures: boolean;
  /** The name of its classifier, classifier.safetensors in its folder; null if there is none. */
  readonly classifier?: string | null;
}

/** models/index.json. */
interface List {
  readonly models: ShippedModel[];
  /** The folder of the model that the page opens with. */
  readonly opened?: string;
}

let fetched: Promise<List> | undefined;
const list = (): Promise<List> => (fetched ??= fetchList());

/** The models that ship; empty if the list is missing. */
export async function shippedModels(): Promise<ShippedModel[]> {
  return (await list()).models;
}

/** The folder of the model that the page opens with; undefined if none ships. */
export async function openedModel(): Promise<string | undefined> {
  const { opened, models } = await list();
  return opened ?? models[0]?.folder;
}

/** The model that a distilled one was distilled from, if it ships. */
export async function teacherOf({ provenance: { teacher } }: Pick<ModelConfig, "provenance">): Promise<ShippedModel | undefined> {
  return (await shippedModels()).find(({ folder, name }) => name === teacher || folder === teacher);
}

async function fetchList(): Promise<List> {
  try {
    const response = await fetch("./models/index.json");
    return response.ok ? ((await response.json()) as List) : { models: [] };
  } catch {
    return { models: [] };
  }
}

/** The address of the bundle that `?model=` names: a folder that ships, or any address. */
export function modelUrl(asked: string): string {
  return /[/:]/.test(asked) ? asked : `./models/${encodeURIComponent(asked)}/`;
}
