import { shippedModels } from "../app/models.js";

// What `freeguide eval` writes as figures.json, as far as it is shown here.
export interface Metrics {
  readonly frechet_distance: number;
  readonly inception_score: number;
  readonly precision: number;
  readonly recall: number;
  readonly accuracy: number | null;
}
export interface Network {
  readonly name: string;
  readonly distance: string;
  readonly score: string;
  readonly floor: { readonly images: number; readonly metrics: Metrics };
  readonly cells: readonly {
    /** Which of the models. */
    readonly model?: number;
    readonly sampler: string;
    readonly steps: number;
    readonly guidance: number;
    readonly metrics: Metrics;
  }[];
}
export interface Figures {
  readonly machine: string;
  readonly command: string;
  readonly samples: number;
  readonly models?: readonly { readonly label: string; readonly p_uncond: number }[];
  readonly networks: readonly Network[];
}

const fetched = new Map<string, Promise<Figures | undefined>>();

/** The evaluation of a model that ships; undefined if there is none. */
export async function figuresOf(asked: string | undefined): Promise<Figures | undefined> {
  const shipped = (await shippedModels()).find(({ folder }) => folder === asked);
  if (!shipped?.figures) return undefined;
  const known = fetched.get(shipped.folder) ?? fetchFigures(shipped.folder);
  fetched.set(shipped.folder, known);
  return known;
}

async function fetchFigures(folder: string): Promise<Figures | undefined> {
  try {
    const response = await fetch(`./models/${encodeURIComponent(folder)}/figures.json`);
    return response.ok ? only(folder, (await response.json()) as Figures) : undefined;
  } catch {
    // The page works without the figures.
    return undefined;
  }
}

/** The figures of one of the models that a report compares; all of them if none has its name. */
export function only(folder: string, figures: Figures): Figures {
  const place = figures.models?.findIndex(({ label }) => label === folder) ?? -1;
  if (place < 0) return figures;
  const networks = figures.networks.map((network) => ({
    ...network,
    cells: network.cells.filter(({ model }) => (model ?? 0) === place),
  }));
  return { ...figures, networks };
}
