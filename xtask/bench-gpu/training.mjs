// Training on a GPU: the packed `freeguide train` and, where Python has PyTorch with a GPU, the same network there.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateSync } from "node:zlib";

/** Networks: guided-diffusion's for 64×64 pixels, and that of models/recipes/cifar10.toml. */
const SETTINGS = [
  {
    name: "adm64",
    size: 64,
    batch: 32,
    network: { base_channels: 192, channel_multipliers: [1, 2, 3, 4], residual_blocks: 3, attention_resolutions: [32, 16, 8], head_channels: 64, norm_groups: 32, dropout: 0.1 },
  },
  {
    name: "cifar10",
    size: 32,
    batch: 128,
    network: { base_channels: 128, channel_multipliers: [1, 2, 2, 2], residual_blocks: 2, attention_resolutions: [16], head_channels: 64, norm_groups: 32, dropout: 0.1 },
  },
];
/** For a rehearsal: a network and a batch that a processor trains in seconds. */
const QUICK = [
  { name: "a small network", size: 16, batch: 4, network: { base_channels: 32, channel_multipliers: [1, 2], residual_blocks: 1, attention_resolutions: [8], head_channels: 32, norm_groups: 16, dropout: 0 } },
];
/** Ways in which PyTorch runs a network; the fastest is shown. */
const FORMS = ["eager", "channels_last", "compile"];

const toml = (value) => (Array.isArray(value) ? `[${value.join(", ")}]` : String(value));

function recipe({ size, batch, network }, precision, steps) {
  return `name = "bench"
[data]
size = ${size}
[network]
${Object.entries(network).map(([key, value]) => `${key} = ${toml(value)}`).join("\n")}
[diffusion]
target = "v"
log_snr = { min = -15, max = 15 }
p_uncond = 0.1
[train]
precision = "${precision}"
steps = ${steps}
batch = ${batch}
learning_rate = 1e-4
weight_decay = 0.01
ema_decay = 0.999
checkpoint_every = ${steps}
sample_every = ${steps}
[sampling]
steps = 1
guidance = 0
`;
}

/** A PNG file of RGB pixels. */
function png(size, pixels) {
  const chunk = (name, data) => {
    const body = Buffer.concat([Buffer.from(name), data]);
    const ends = [body.length - 4, crc32(body)].map((value) => {
      const four = Buffer.alloc(4);
      four.writeUInt32BE(value);
      return four;
    });
    return Buffer.concat([ends[0], body, ends[1]]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  header.set([8, 2, 0, 0, 0], 8);
  // Each row begins with its filter: none.
  const rows = Array.from({ length: size }, (_, y) => [Buffer.from([0]), pixels.subarray(3 * size * y, 3 * size * (y + 1))]);
  const data = deflateSync(Buffer.concat(rows.flat()));
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), chunk("IHDR", header), chunk("IDAT", data), chunk("IEND", Buffer.alloc(0))]);
}

/** Nine classes of noise; what is in the images makes no difference to the speed. */
function pictures(folder, size) {
  let state = 1;
  for (let class_ = 0; class_ < 9; class_ += 1) {
    const place = join(folder, `class-${class_}`);
    mkdirSync(place, { recursive: true });
    for (let at = 0; at < 16; at += 1) {
      const pixels = Uint8Array.from({ length: 3 * size * size }, () => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        return state >>> 24;
      });
      writeFileSync(join(place, `${at}.png`), png(size, pixels));
    }
  }
}

/** Seconds of a program, undefined where it fails. */
function seconds(program, args, limit) {
  const before = performance.now();
  const done = spawnSync(program, args, { encoding: "utf8", timeout: limit * 1000 });
  if (done.status === 0) return (performance.now() - before) / 1000;
  process.stderr.write(`  ${done.error?.message ?? `${done.stderr}${done.stdout}`.trim().split("\n").slice(-3).join(" | ")}\n`);
  return undefined;
}

/** Images a second: a longer training less a shorter one, which leaves out the start, the data and what is saved. */
function speed(batch, [few, many], run) {
  const short = run(few);
  const long = short === undefined ? undefined : run(many);
  return long === undefined ? undefined : (batch * (many - few)) / (long - short);
}

/** The rows of the table. `quick` rehearses it; `limit`: seconds for one program. */
export function trainings(folder, { quick, limit }) {
  const freeguide = join(folder, "freeguide");
  const python = "python3";
  const torch = spawnSync(python, ["-c", "import torch; assert torch.cuda.is_available() or " + (quick ? "True" : "False")]).status === 0;
  const steps = quick ? [1, 3] : [10, 60];
  const shown = (value) => (value === undefined ? "–" : value.toFixed(value < 10 ? 2 : 0));
  const place = mkdtempSync(join(tmpdir(), "freeguide-train-"));
  const rows = [];
  for (const setting of quick ? QUICK : SETTINGS) {
    const { name, size, batch, network } = setting;
    const data = join(place, `data-${size}`);
    pictures(data, size);
    for (const precision of ["bf16", "f16", "f32"]) {
      process.stderr.write(`training ${name} in ${precision}\n`);
      const ours = existsSync(freeguide)
        ? speed(batch, steps, (count) => {
            const file = join(place, "recipe.toml");
            writeFileSync(file, recipe(setting, precision, count));
            rmSync(join(place, "run"), { recursive: true, force: true });
            const device = ["--device", process.env.FREEGUIDE_DEVICE ?? "vulkan"];
            return seconds(freeguide, ["train", "--quiet", ...device, "--recipe", file, "--data", data, "--out", join(place, "run")], limit);
          })
        : undefined;
      const theirs = torch
        ? FORMS.map((form) => [
            form,
            speed(batch, steps, (count) =>
              seconds(python, [join(folder, "pytorch/bench_train.py"), "--network", JSON.stringify({ kind: "unet", ...network }), "--size", size, "--batch", batch, "--steps", count, "--threads", 0, "--form", form, "--precision", precision, "--device", "auto"].map(String), limit),
            ),
          ]).filter(([, found]) => found !== undefined)
        : [];
      const [form, best] = theirs.sort(([, a], [, b]) => b - a)[0] ?? [];
      rows.push(`| ${[name, batch, precision, shown(ours), best === undefined ? "–" : `${shown(best)} (${form})`].join(" | ")} |`);
    }
  }
  rmSync(place, { recursive: true, force: true });
  return rows;
}
