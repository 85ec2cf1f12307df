import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { scanSources } from './scan-sources.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const example = readFileSync(`${root}.env.example`, 'utf8');
const documented = [...example.matchAll(/^([A-Z][A-Z0-9_]*)=/gm)].map((match) => match[1] ?? '');

// Where each program declares its settings.
const configFiles = ['orchestrator/src/config.ts', 'provider/src/config.ts', 'lib/config.ts'];
const sources = scanSources(root);
const declared = configFiles.flatMap((path) => {
  const text = sources.find((source) => source.path === path)?.text ?? '';
  return [...text.matchAll(/^\s+([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|PORT):/gm)].map((match) => match[1] ?? '');
});

test('every setting that a program reads is in .env.example', () => {
  expect(new Set(declared).size).toBeGreaterThan(20);
  expect([...new Set(declared)].filter((name) => !documented.includes(name))).toEqual([]);
});

test('.env.example documents nothing twice and nothing that no program reads', () => {
  expect(documented.filter((name, index) => documented.indexOf(name) !== index)).toEqual([]);
  const start =
    readFileSync(`${root}scripts/lib/market-run.mjs`, 'utf8') +
    readFileSync(`${root}scripts/start.mjs`, 'utf8');
  const texts = sources.filter(({ path }) => !path.startsWith('tests/')).map(({ text }) => text);
  const unread = documented.filter((name) => ![start, ...texts].some((text) => text.includes(name)));
  expect(unread).toEqual([]);
});

test('every setting has a comment that says what it does', () => {
  const lines = example.split('\n');
  const bare = documented.filter((name) => {
    let above = lines.findIndex((line) => line.startsWith(`${name}=`)) - 1;
    while (above >= 0 && /^[A-Z]/.test(lines[above] ?? '')) above -= 1; // one comment may stand over a pair
    return !lines[above]?.startsWith('#');
  });
  expect(bare).toEqual([]);
});
