import type { NodeSpec } from '../../orchestrator/src/matching/placement/cluster.ts';
import { type TaskShape, wholeGpuMilli } from '../../orchestrator/src/matching/placement/task-shape.ts';

/**
 * Parsers for traces in the form of Alibaba's cluster-trace-gpu-v2023 (github.com/alibaba/clusterdata, folder
 * cluster-trace-gpu-v2023/csv). Columns by name, in any order; others are ignored.
 *
 * Nodes: sn, cpu_milli, memory_mib, gpu, model.
 * Tasks: name, cpu_milli, memory_mib, num_gpu, gpu_milli, gpu_spec (models that will do, parted by `|`).
 *
 * @param file its name, for the errors
 * @throws Error that names the file and the line
 */
export function parseNodes(csv: string, file: string): NodeSpec[] {
  return parseRows(csv, file, ['cpu_milli', 'memory_mib', 'gpu', 'model'], (column) => ({
    cpuMilli: column.number('cpu_milli'),
    memoryMib: column.number('memory_mib'),
    shares: true,
    gpus: Array.from({ length: column.number('gpu') }, () => ({
      kind: column.text('model'),
      freeMilli: wholeGpuMilli,
    })),
  }));
}

/**
 * @param file its name, for the errors
 * @throws Error that names the file and the line
 */
export function parseTasks(csv: string, file: string): TaskShape[] {
  return parseRows(csv, file, ['cpu_milli', 'memory_mib', 'num_gpu', 'gpu_milli'], (column) => {
    const gpuCount = column.number('num_gpu');
    return {
      cpuMilli: column.number('cpu_milli'),
      memoryMib: column.number('memory_mib'),
      gpuCount,
      gpuMilli: gpuCount === 0 ? 0 : Math.min(column.number('gpu_milli'), wholeGpuMilli),
      kinds: gpuCount === 0 ? [] : column.text('gpu_spec').split('|').filter(Boolean),
    };
  });
}

interface Columns {
  text(name: string): string;
  /** A number of at least 0. */
  number(name: string): number;
}

function parseRows<Row>(
  csv: string,
  file: string,
  needed: readonly string[],
  parse: (columns: Columns) => Row,
): Row[] {
  const [header = '', ...lines] = csv.split(/\r?\n/).filter(Boolean);
  const names = header.split(',').map((name) => name.trim());
  const missing = needed.filter((name) => !names.includes(name));
  if (missing.length > 0) throw new Error(`${file}: there is no column ${missing.join(', ')}.`);
  return lines.map((line, index) => {
    const cells = line.split(',');
    const text = (name: string) => cells[names.indexOf(name)]?.trim() ?? '';
    const number = (name: string) => {
      const value = Number(text(name));
      if (text(name) === '' || !Number.isFinite(value) || value < 0) {
        throw new Error(`${file}, line ${index + 2}: ${name} is "${text(name)}", not a number.`);
      }
      return value;
    };
    return parse({ text, number });
  });
}
