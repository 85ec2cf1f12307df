import { closeSync, existsSync, fstatSync, openSync, readSync, renameSync } from 'node:fs';

/**
 * Makes room for the log of a new start; the last three starts are kept as `.1`, `.2` and `.3`.
 * @param {string} path
 */
export function rotateLog(path) {
  for (const [from, to] of [
    [`${path}.2`, `${path}.3`],
    [`${path}.1`, `${path}.2`],
    [path, `${path}.1`],
  ]) {
    if (from !== undefined && to !== undefined && existsSync(from)) renameSync(from, to);
  }
}

/** The last lines of a log, to show when a program failed. @param {string} path */
export function tailOf(path, lines = 15) {
  return readEnd(path).trimEnd().split('\n').slice(-lines).map(readable).join('\n');
}

/**
 * Our programs log JSON; a person at a terminal wants the sentence and, for an error, where it came from.
 * @param {string} line
 */
function readable(line) {
  if (!line.startsWith('{')) return line;
  try {
    const { level, message, err } = JSON.parse(line);
    if (typeof message !== 'string') return line;
    const cause = err?.stack ?? err?.message;
    return `${level === 'info' ? '' : `${level}: `}${message}${cause === undefined ? '' : `\n${cause}`}`;
  } catch {
    return line; // Cut off, or not ours.
  }
}

/** @param {string} path */
export function lastLineOf(path) {
  return tailOf(path, 1).split('\n')[0] ?? '';
}

/** The last 16 KiB: enough for any tail, whatever the size of the log. @param {string} path */
function readEnd(path) {
  if (!existsSync(path)) return '';
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const length = Math.min(size, 16_384);
    const buffer = Buffer.alloc(length);
    readSync(file, buffer, 0, length, size - length);
    return buffer.toString('utf8');
  } finally {
    closeSync(file);
  }
}
