import { randomInt } from 'node:crypto';

/** Letters and digits that are not taken for one another (Crockford's base 32). */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
const longestStem = 48;

/** A name for a job that came without: the image's own name and four random characters, `pytorch-7k2m`. */
export function nameFromImage(
  image: string,
  random: (below: number) => number = (below) => randomInt(below),
): string {
  const path = image.split('@', 1)[0] ?? '';
  const last = path.split('/').at(-1) ?? '';
  const stem = (last.split(':', 1)[0] ?? '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, longestStem)
    .replace(/^-+|-+$/g, '');
  const tail = Array.from({ length: 4 }, () => alphabet.charAt(random(alphabet.length))).join('');
  return `${stem || 'job'}-${tail}`;
}
