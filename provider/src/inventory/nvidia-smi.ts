import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { GpuReport } from '@computefabric/protocol/provider-api/v1/inventory';

/** The fields asked for, in the order in which they are answered. */
const fields = ['index', 'uuid', 'name', 'memory.total', 'driver_version', 'compute_cap'];
/** Drivers before 510 do not know the last field, and refuse the whole question for it. */
const oldFields = fields.slice(0, -1);
/** A driver that hangs must not hang the agent's start. */
const timeoutMs = 15_000;

/** nvidia-smi is there and its answer cannot be used; the message says what to look at. */
export class NvidiaSmiError extends Error {
  override readonly name = 'NvidiaSmiError';
}

/**
 * The NVIDIA cards of this machine as the driver's own tool reports them; none where there is no such tool.
 *
 * @param program for tests
 * @throws NvidiaSmiError when the tool fails, as it does when the driver and the kernel module do not match,
 *   or answers what cannot be read.
 */
export async function findNvidiaGpus(program = 'nvidia-smi'): Promise<GpuReport[]> {
  try {
    return parseNvidiaSmi(await ask(program, fields));
  } catch (thrown) {
    if (thrown instanceof NvidiaSmiError) throw thrown;
    if (isMissing(thrown)) return [];
    const text = outputOf(thrown);
    if (/compute_cap.*not a valid field/i.test(text)) return parseNvidiaSmi(await ask(program, oldFields));
    // A machine whose last card was taken out: the tool is there and says so.
    if (/no devices were found/i.test(text)) return [];
    throw new NvidiaSmiError(`nvidia-smi failed: ${text || String(thrown)}. Does it work in a terminal?`, {
      cause: thrown,
    });
  }
}

/**
 * The CUDA version that the driver supports, such as `12.2`; null where there is no driver or it does not tell.
 * It can only be read from the report for people. What is wrong with the tool is told by `findNvidiaGpus`, which
 * asks the same one, so here a failure is no more than "not known".
 *
 * @param program for tests
 */
export async function findCudaVersion(program = 'nvidia-smi'): Promise<string | null> {
  try {
    return parseCudaVersion(await run(program, ['-q', '-d', 'COMPUTE']));
  } catch {
    return null; // said above
  }
}

/** Reads `CUDA Version : 12.2` from the report; `N/A` is not known. */
export function parseCudaVersion(report: string): string | null {
  return /^\s*CUDA Version\s*:\s*(\d{1,4}(?:\.\d{1,4}){0,2})\s*$/m.exec(report)?.[1] ?? null;
}

async function ask(program: string, asked: readonly string[]): Promise<string> {
  return await run(program, [`--query-gpu=${asked.join(',')}`, '--format=csv,noheader,nounits']);
}

async function run(program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program, [...args], {
    timeout: timeoutMs,
    maxBuffer: 1_048_576,
  });
  return stdout;
}

/**
 * Reads the tool's CSV. A value that a card does not have is `[N/A]` or `[Not Supported]`; a card that does
 * not tell its memory cannot be offered and is left out, the others are not its fault.
 */
export function parseNvidiaSmi(csv: string): GpuReport[] {
  const lines = csv
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^no devices were found/i.test(line));
  return lines.flatMap((line) => {
    const values = line.split(',').map((value) => value.trim());
    const [index, uuid, name, memory, driver, capability] = values;
    const isComplete = values.length === fields.length || values.length === oldFields.length;
    if (isComplete && uuid && name && present(memory) === null) return [];
    const memoryMib = Number(memory);
    if (!isComplete || !uuid || !name || !Number.isInteger(memoryMib) || memoryMib < 1) {
      throw new NvidiaSmiError(
        `nvidia-smi answered "${line.slice(0, 200)}", which is not a card this agent can offer.`,
      );
    }
    return {
      index: Number(index),
      uuid,
      name,
      memory_mib: memoryMib,
      driver_version: present(driver),
      compute_capability: present(capability),
      simulated: false,
    };
  });
}

function present(value: string | undefined): string | null {
  return value === undefined || value === '' || /^\[.*\]$|^N\/A$/.test(value) ? null : value;
}

function isMissing(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT';
}

function outputOf(thrown: unknown): string {
  if (typeof thrown !== 'object' || thrown === null) return '';
  const { stdout, stderr } = thrown as { stdout?: unknown; stderr?: unknown };
  return [stdout, stderr]
    .filter((part) => typeof part === 'string')
    .join(' ')
    .trim()
    .slice(0, 500);
}
