import { existsSync, readFileSync, statSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { rootDir } from './lib/paths.mjs';

// What a person downloads. Without an argument: the size of every bundle. With the address of a
// running dashboard also the JavaScript and CSS that each page loads first, gzipped, because Next no
// longer prints that. Budget: 200 kB of JavaScript for the job list.
//
// Usage: npm run sizes [-- http://127.0.0.1:3000 [/jobs /dashboard …]]

const [url, ...paths] = process.argv.slice(2);
for (const bundle of [
  'orchestrator/dist/main.mjs',
  'provider/dist/main.mjs',
  'provider/dist/guard.mjs',
  'client/cli/dist/main.mjs',
  'db/dist/cli.mjs',
]) {
  const file = `${rootDir}/${bundle}`;
  if (!existsSync(file)) continue;
  const gzipped = gzipSync(readFileSync(file)).length;
  console.log(`${bundle.padEnd(28)} ${kilobytes(statSync(file).size)}   ${kilobytes(gzipped)} gzipped`);
}

if (url !== undefined) {
  const seen = new Map();
  for (const path of paths.length > 0 ? paths : ['/dashboard', '/jobs', '/gpu-owners']) {
    const html = await text(new URL(path, url));
    // Browsers of this decade skip the `nomodule` polyfills.
    const scripts = [...html.matchAll(/<script\b[^>]*\bsrc="([^"]+)"[^>]*>/g)].filter(
      ([tag]) => !/nomodule/i.test(tag),
    );
    const styles = [...html.matchAll(/<link\b[^>]*\brel="stylesheet"[^>]*>/g)].map(([tag]) =>
      /href="([^"]+)"/.exec(tag),
    );
    const js = await total(scripts.map((match) => match[1]));
    const css = await total(styles.map((match) => match?.[1]));
    console.log(`${path.padEnd(28)} ${kilobytes(js)} of JavaScript and ${kilobytes(css)} of CSS, gzipped`);
  }

  /** @param {(string | undefined)[]} references */
  async function total(references) {
    let sum = 0;
    for (const reference of new Set(references)) {
      if (reference === undefined) continue;
      const address = new URL(reference.replaceAll('&amp;', '&'), url).href;
      if (!seen.has(address)) seen.set(address, gzipSync(await text(new URL(address))).length);
      sum += seen.get(address);
    }
    return sum;
  }
}

/** @param {URL} address */
async function text(address) {
  const response = await fetch(address, { signal: AbortSignal.timeout(30_000) });
  if (!response.ok) throw new Error(`${address.href} answered ${response.status}`);
  return response.text();
}

/** @param {number} bytes */
function kilobytes(bytes) {
  return `${(bytes / 1000).toFixed(1).padStart(8)} kB`;
}
