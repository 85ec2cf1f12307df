import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** What is given to the programs so that they note when each of their calls begins and ends. */
export function tracing(file: string): Record<string, string> {
  const preload = fileURLToPath(new URL('trace-preload.mjs', import.meta.url));
  return { NODE_OPTIONS: `--import=${preload}`, COMPUTEFABRIC_TRACE_FILE: file };
}

/** A moment on the machine's monotonic clock, ns: one line for all processes. */
export function now(): bigint {
  return process.hrtime.bigint();
}

/** Prints what the programs noted between two moments: ms since the first, ms since the line before. */
export function printTimeline(file: string, from: bigint, to: bigint): void {
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [at = '0', program = '', what = ''] = line.split('\t');
      return { ms: Number(BigInt(at) - from) / 1e6, program, what };
    })
    .filter(({ ms }) => ms >= 0 && ms <= Number(to - from) / 1e6)
    .toSorted((a, b) => a.ms - b.ms);
  let before = 0;
  console.log('\n    ms      +  where         what');
  for (const { ms, program, what } of lines) {
    console.log(
      `${ms.toFixed(1).padStart(6)} ${(ms - before).toFixed(1).padStart(6)}  ${program.padEnd(12)}  ${what}`,
    );
    before = ms;
  }
  const endMs = Number(to - from) / 1e6;
  console.log(
    `${endMs.toFixed(1).padStart(6)} ${(endMs - before).toFixed(1).padStart(6)}  reader        first line`,
  );
}
