/**
 * The one range of a Range header such as `bytes=0-99`, `bytes=100-` or `bytes=-100`, both ends included.
 * `whole` when there is none or it is of a form that may be ignored (several ranges, other units);
 * `unsatisfiable` when it begins behind the end.
 */
export function parseByteRange(
  header: string | undefined,
  sizeBytes: number,
): { start: number; end: number } | 'whole' | 'unsatisfiable' {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '');
  const [, first = '', last = ''] = match ?? [];
  if (first === '' && last === '') return 'whole';
  if (first === '') {
    const length = Math.min(Number(last), sizeBytes);
    return length === 0 ? 'unsatisfiable' : { start: sizeBytes - length, end: sizeBytes - 1 };
  }
  const start = Number(first);
  const end = last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1);
  if (last !== '' && Number(last) < start) return 'whole'; // not a valid range, so to be ignored
  return start >= sizeBytes ? 'unsatisfiable' : { start, end };
}
