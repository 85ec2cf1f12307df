import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findCudaVersion, findNvidiaGpus, parseCudaVersion, parseNvidiaSmi } from './nvidia-smi.ts';
import { simulatedGpus } from './simulated-gpus.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'computefabric-smi-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** A tool on disk that answers as a real one would. */
async function fakeTool(name: string, script: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  return path;
}

describe('NVIDIA cards', () => {
  test.each([
    [
      'a gaming card',
      '0, GPU-3f1a2b4c-0d5e-4f60-8a7b-9c0d1e2f3a4b, NVIDIA GeForce RTX 4090, 24564, 570.86.15, 8.9\n',
      [{ index: 0, name: 'NVIDIA GeForce RTX 4090', memory_mib: 24_564, compute_capability: '8.9' }],
    ],
    [
      'two data-centre cards',
      '0, GPU-aaaa, NVIDIA H100 80GB HBM3, 81559, 550.54.15, 9.0\n1, GPU-bbbb, NVIDIA H100 80GB HBM3, 81559, 550.54.15, 9.0\n',
      [{ uuid: 'GPU-aaaa' }, { uuid: 'GPU-bbbb', memory_mib: 81_559 }],
    ],
    [
      'an old card that does not know its capability',
      '0, GPU-cccc, Tesla K80, 11441, 470.82.01, [N/A]\n',
      [{ compute_capability: null, driver_version: '470.82.01' }],
    ],
    [
      'a card that does not tell its memory is left out, the other is offered',
      '0, GPU-eeee, NVIDIA GB10, [N/A], 580.1, 12.1\n1, GPU-ffff, NVIDIA A10, 23028, 580.1, 8.6\n',
      [{ uuid: 'GPU-ffff' }],
    ],
    ['a machine without cards', 'No devices were found\n', []],
    ['an empty answer', '', []],
  ])('%s', (_name, csv, expected) => {
    expect(parseNvidiaSmi(csv)).toMatchObject(expected);
    expect(parseNvidiaSmi(csv)).toHaveLength(expected.length);
  });

  test.each(['garbage', '0, GPU-x, NVIDIA, lots, 1, 2', '0, , NVIDIA A100, 40960, 1, 8.0'])(
    'an answer that cannot be read is refused, not guessed at: %s',
    (csv) => {
      expect(() => parseNvidiaSmi(csv)).toThrow(/nvidia-smi answered/);
    },
  );

  test('no tool means no cards; a tool that fails is told with its own words', async () => {
    expect(await findNvidiaGpus(join(folder, 'absent'))).toEqual([]);
    const broken = await fakeTool(
      'broken',
      'echo "Failed to initialize NVML: Driver/library version mismatch"; exit 18',
    );
    await expect(findNvidiaGpus(broken)).rejects.toThrow(/version mismatch/);
    const works = await fakeTool('works', 'echo "0, GPU-dddd, NVIDIA A10, 23028, 535.1, 8.6"');
    expect(await findNvidiaGpus(works)).toMatchObject([{ uuid: 'GPU-dddd', simulated: false }]);
    const old = await fakeTool(
      'old',
      'case "$1" in *compute_cap*) echo \'Field "compute_cap" is not a valid field to query.\'; exit 2;; esac; echo "0, GPU-gggg, Tesla K80, 11441, 470.82"',
    );
    expect(await findNvidiaGpus(old)).toMatchObject([{ uuid: 'GPU-gggg', compute_capability: null }]);
  });
});

describe('the CUDA version of the driver', () => {
  const report = (version: string) =>
    `\n==============NVSMI LOG==============\n\nTimestamp                                 : Mon Mar  2 10:00:00 2026\nDriver Version                            : 535.104.05\nCUDA Version                              : ${version}\n\nAttached GPUs                             : 1\n`;

  test('is read from the report, and not known where it is not told', () => {
    expect(parseCudaVersion(report('12.2'))).toBe('12.2');
    expect(parseCudaVersion(report('N/A'))).toBeNull();
    expect(parseCudaVersion('Driver Version : 390.1')).toBeNull();
  });

  test('comes from the tool; no tool, or one that fails, knows none', async () => {
    const works = await fakeTool('report', `[ "$1" = -q ] && cat <<'END'\n${report('12.8')}\nEND`);
    expect(await findCudaVersion(works)).toBe('12.8');
    expect(await findCudaVersion(join(folder, 'absent'))).toBeNull();
    expect(await findCudaVersion(await fakeTool('fails', 'exit 9'))).toBeNull();
  });
});

describe('simulated cards', () => {
  test('are counted, marked, and the same at every start of a machine but not on another', () => {
    const cards = simulatedGpus('2x NVIDIA GeForce RTX 4090:24564, NVIDIA A100:81920', 'here');
    expect(cards.map(({ name, memory_mib, simulated }) => [name, memory_mib, simulated])).toEqual([
      ['NVIDIA GeForce RTX 4090', 24_564, true],
      ['NVIDIA GeForce RTX 4090', 24_564, true],
      ['NVIDIA A100', 81_920, true],
    ]);
    expect(new Set(cards.map(({ uuid }) => uuid)).size).toBe(3);
    expect(simulatedGpus('2x NVIDIA GeForce RTX 4090:24564', 'here')[0]?.uuid).toBe(cards[0]?.uuid);
    expect(simulatedGpus('2x NVIDIA GeForce RTX 4090:24564', 'there')[0]?.uuid).not.toBe(cards[0]?.uuid);
    expect(simulatedGpus('', 'here')).toEqual([]);
  });

  test.each(['RTX 4090', '0x RTX 4090:1', '2x RTX 4090:', '99x RTX 4090:24564', ':5'])(
    'a list that is not one is refused with the variable and the right form: %s',
    (list) => {
      expect(() => simulatedGpus(list, 'here')).toThrow(/PROVIDER_SIMULATED_GPUS/);
    },
  );
});
