/** The numbers of a version, from the left. */
export type Version = readonly number[];

/** Reads a version of one to four numbers, such as `535.104` or `8.9`; null when it is not one. */
export function parseVersion(text: string): Version | null {
  const trimmed = text.trim();
  return /^\d{1,4}(?:\.\d{1,4}){0,3}$/.test(trimmed) ? trimmed.split('.').map(Number) : null;
}

/** A version as it can be typed again. */
export function formatVersion(version: Version): string {
  return version.join('.');
}

/**
 * The version at the beginning of what a machine reported, such as `535.104.5` in `535.104.05-server`; null when
 * it does not begin with one.
 */
export function reportedVersion(reported: string | null): Version | null {
  return parseVersion(/^\d{1,4}(?:\.\d{1,4}){0,3}/.exec(reported ?? '')?.[0] ?? '');
}

/** Below 0 when the left version is older, 0 when they are the same; what is missing is 0. */
export function compareVersions(left: Version, right: Version): number {
  for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/**
 * Whether a version that a machine reported is at least a floor, number by number: `8.9` is below `12.0` and
 * `535.54` below `535.104`. What does not begin with a number is not known and reaches no floor. Reads in place:
 * the matcher asks this once for each card of each machine.
 */
export function isVersionAtLeast(reported: string | null, floor: Version): boolean {
  if (reported === null || !isDigit(reported.charCodeAt(0))) return false;
  let at = 0;
  for (const asked of floor) {
    let value = 0;
    for (; isDigit(reported.charCodeAt(at)); at += 1) value = value * 10 + reported.charCodeAt(at) - zero;
    if (value !== asked) return value > asked;
    // At the end of the reported version what is missing is 0: 535 is 535.0. A suffix ends it as well.
    at = reported.charCodeAt(at) === dot ? at + 1 : reported.length;
  }
  return true;
}

const zero = 48;
const dot = 46;

function isDigit(code: number): boolean {
  return code >= zero && code <= zero + 9;
}
