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

/** From a submit to the first line at its reader, on the machine's clock. */
export interface Span {
  from: bigint;
  ms: number;
}

interface Noted {
  /** Since the submit. */
  ms: number;
  program: string;
  what: string;
}

function readNotes(file: string, { from, ms: spanMs }: Span): Noted[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [at = '0', program = '', what = ''] = line.split('\t');
      return { ms: Number(BigInt(at) - from) / 1e6, program, what };
    })
    .filter(({ ms }) => ms >= 0 && ms <= spanMs)
    .toSorted((a, b) => a.ms - b.ms);
}

/**
 * Milliseconds of a span in which no call of the agent to the engine was under way: our share whatever the engine
 * does. What runs beside such a call counts as the engine's time, since it is not waited for. The last call that
 * counts is the one that starts the program, until the agent heard of the start or of output, whichever came first.
 */
export function outsideEngine(file: string, span: Span): number {
  const open = new Set<string>();
  let engineMs = 0;
  let sinceMs = 0;
  for (const { ms, program, what } of readNotes(file, span)) {
    if (program !== 'provider') continue;
    const answered = what.startsWith('engine answered ');
    const begun = what.startsWith('engine ') && !answered;
    const over = what.startsWith('call ') && what.endsWith('/started');
    if (begun && open.size === 0) sinceMs = ms;
    if (begun) open.add(what.slice('engine '.length));
    const wasOpen = open.size > 0;
    if (answered) open.delete(what.slice('engine answered '.length));
    if (over) open.clear();
    if (wasOpen && !begun && open.size === 0) engineMs += ms - sinceMs;
    if (over) break;
  }
  return span.ms - engineMs;
}

/** Prints what the programs noted in a span: ms since its beginning, ms since the line before. */
export function printTimeline(file: string, span: Span): void {
  const lines = readNotes(file, span);
  let before = 0;
  console.log('\n    ms      +  where         what');
  for (const { ms, program, what } of lines) {
    console.log(
      `${ms.toFixed(1).padStart(6)} ${(ms - before).toFixed(1).padStart(6)}  ${program.padEnd(12)}  ${what}`,
    );
    before = ms;
  }
  const endMs = span.ms;
  console.log(
    `${endMs.toFixed(1).padStart(6)} ${(endMs - before).toFixed(1).padStart(6)}  reader        first line`,
  );
}
