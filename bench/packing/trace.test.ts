import { describe, expect, test } from 'vitest';
import { parseNodes, parseTasks } from './trace.ts';

function csv(...lines: string[]): string {
  return `${lines.join('\r\n')}\r\n`;
}

describe('reading a trace', () => {
  test('nodes with and without GPUs', () => {
    const text = csv('sn,cpu_milli,memory_mib,gpu,model', 'a,32000,262144,0,', 'b,96000,393216,2,T4');
    expect(parseNodes(text, 'n.csv')).toEqual([
      { cpuMilli: 32_000, memoryMib: 262_144, shares: true, gpus: [] },
      {
        cpuMilli: 96_000,
        memoryMib: 393_216,
        shares: true,
        gpus: [
          { kind: 'T4', freeMilli: 1_000 },
          { kind: 'T4', freeMilli: 1_000 },
        ],
      },
    ]);
  });

  test('tasks by the names of columns; without gpu_spec any model will do', () => {
    const text = csv(
      'name,gpu_milli,num_gpu,cpu_milli,memory_mib,gpu_spec',
      'a,470,1,8000,30517,V100M16|V100M32',
      'b,0,0,12500,65536,T4',
    );
    expect(parseTasks(text, 't.csv')).toEqual([
      { cpuMilli: 8_000, memoryMib: 30_517, gpuCount: 1, gpuMilli: 470, kinds: ['V100M16', 'V100M32'] },
      { cpuMilli: 12_500, memoryMib: 65_536, gpuCount: 0, gpuMilli: 0, kinds: [] },
    ]);
    const plain = csv('cpu_milli,memory_mib,num_gpu,gpu_milli', '1,2,8,1000');
    expect(parseTasks(plain, 't.csv')).toEqual([
      { cpuMilli: 1, memoryMib: 2, gpuCount: 8, gpuMilli: 1_000, kinds: [] },
    ]);
  });

  test('a missing column and a cell that is no number are named', () => {
    expect(() => parseNodes(csv('sn,cpu_milli,memory_mib', 'a,1,2'), 'n.csv')).toThrow(
      /no column gpu, model/,
    );
    const bad = csv('cpu_milli,memory_mib,num_gpu,gpu_milli', '1,2,0,0', '1,x,0,0');
    expect(() => parseTasks(bad, 't.csv')).toThrow(/line 3: memory_mib is "x"/);
  });
});
