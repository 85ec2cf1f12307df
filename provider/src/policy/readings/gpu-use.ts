import { execFile } from 'node:child_process';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { known, type Reading, unknown } from '../readings.ts';
import { isOurs } from './machine-facts.ts';

/** How long the driver's tool may take: one that hangs must not hang the owner's rules. */
const askMs = 5_000;
/** A machine without the tool is asked again now and then: a driver may be installed. */
const missingMs = 60_000;
/** Others' use of a card is judged over this long. */
const windowMs = 60_000;
/** Below these a desktop that only shows its windows stays. */
const othersMemoryShare = 0.1;
const othersUsePercent = 10;

export interface GpuReadings {
  otherGpuUse: Reading<string | null>;
  gpuCelsius: Reading<number | null>;
}

const noCards: GpuReadings = { otherGpuUse: known(null), gpuCelsius: known(null) };

/** Who uses the NVIDIA cards beside our jobs, and how hot they are. */
export class GpuUse {
  readonly #root: string;
  readonly #program: string;
  #missingAtMs: number | undefined;
  /** What each card was used, while no job of ours was on it. */
  readonly #uses = new Map<string, { atMs: number; percent: number }[]>();

  /** @param program for tests */
  constructor(root: string, program = 'nvidia-smi') {
    this.#root = root;
    this.#program = program;
  }

  /** Never rejects; a question starts a program, which may take seconds. */
  async look(monotonicMs: number, ourContainers: readonly string[]): Promise<GpuReadings> {
    if (this.#missingAtMs !== undefined && monotonicMs - this.#missingAtMs < missingMs) return noCards;
    try {
      return await this.#ask(monotonicMs, ourContainers);
    } catch (thrown) {
      if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') {
        this.#missingAtMs = monotonicMs;
        return noCards;
      }
      const failed = unknown('nvidia-smi does not answer');
      return { otherGpuUse: failed, gpuCelsius: failed };
    }
  }

  async #ask(monotonicMs: number, ourContainers: readonly string[]): Promise<GpuReadings> {
    const [cards, programs] = await Promise.all([
      this.#query('--query-gpu=uuid,memory.total,memory.used,utilization.gpu,temperature.gpu'),
      this.#query('--query-compute-apps=gpu_uuid,pid,process_name'),
    ]);
    let user: string | null = null;
    const oursOn = new Set<string>();
    for (const [uuid = '', pid = '', name = ''] of programs) {
      if (!/^\d+$/.test(pid)) continue;
      if (await isOurs(this.#root, pid, ourContainers)) oursOn.add(uuid);
      else user ??= shown(name);
    }
    const heats: number[] = [];
    for (const [uuid = '', total, used, percent, celsius] of cards) {
      if (isNumber(celsius)) heats.push(Number(celsius));
      if (oursOn.has(uuid)) {
        this.#uses.delete(uuid); // what it is used now cannot be told apart
        continue;
      }
      const share = isNumber(total) && isNumber(used) ? Number(used) / Number(total) : 0;
      if (share >= othersMemoryShare) user ??= `${Math.round(share * 100)} % of its memory is taken`;
      const uses = (this.#uses.get(uuid) ?? []).filter(({ atMs }) => monotonicMs - atMs < windowMs);
      if (isNumber(percent)) uses.push({ atMs: monotonicMs, percent: Number(percent) });
      this.#uses.set(uuid, uses);
      const average = uses.reduce((sum, use) => sum + use.percent, 0) / Math.max(1, uses.length);
      const lasts = monotonicMs - (uses[0]?.atMs ?? monotonicMs);
      if (average >= othersUsePercent && lasts >= windowMs / 2)
        user ??= `${Math.round(average)} % used over the last minute`;
    }
    return { otherGpuUse: known(user), gpuCelsius: known(heats.length > 0 ? Math.max(...heats) : null) };
  }

  async #query(question: string): Promise<string[][]> {
    const { stdout } = await promisify(execFile)(this.#program, [question, '--format=csv,noheader,nounits'], {
      timeout: askMs,
      maxBuffer: 1_048_576,
    });
    return stdout
      .split('\n')
      .filter((line) => line.includes(','))
      .map((line) => line.split(',').map((value) => value.trim()));
  }
}

function isNumber(value: string | undefined): value is string {
  return value !== undefined && /^\d+(\.\d+)?$/.test(value);
}

function shown(path: string): string {
  const name = basename(path.replaceAll('\\', '/')).replace(/[^\p{L}\p{N} ._-]/gu, '');
  return name.slice(0, 60) || 'a program';
}
