/** The bundles that ship beside the page, as models/index.json lists them. */
export interface ShippedModel {
  /** Folder inside models/. */
  readonly folder: string;
  readonly name: string;
  readonly classes: number;
  /** Pixels of an image's side. */
  readonly size: number;
  /** Whether figures.json lies beside it: what `freeguide eval` measured. */
  readonly figures: boolean;
  /** The name of the classifier that lies in its folder, as classifier.safetensors; null where there is none. */
  readonly classifier?: string | null;
}

let shipped: Promise<ShippedModel[]> | undefined;

/** What ships; empty where the list is missing. */
export function shippedModels(): Promise<ShippedModel[]> {
  shipped ??= fetchList();
  return shipped;
}

async function fetchList(): Promise<ShippedModel[]> {
  try {
    const response = await fetch("./models/index.json");
    return response.ok ? ((await response.json()) as { models: ShippedModel[] }).models : [];
  } catch {
    return [];
  }
}

/** The address of the bundle that `?model=` names: a folder that ships, or any address. */
export function modelUrl(asked: string): string {
  return /[/:]/.test(asked) ? asked : `./models/${encodeURIComponent(asked)}/`;
}
