import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

function markdownFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return markdownFiles(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

const pages = [
  ...['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md'].map((name) => join(root, name)),
  ...markdownFiles(join(root, 'docs')),
];

test('every link between our pages leads somewhere', () => {
  const broken = pages.flatMap((page) =>
    [...readFileSync(page, 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)/g)]
      .map((match) => match[1] ?? '')
      .filter((target) => !existsSync(join(dirname(page), target)))
      .map((target) => `${page.slice(root.length)} → ${target}`),
  );
  expect(pages.length).toBeGreaterThan(15);
  expect(broken).toEqual([]);
});

// Folders that a path in a page may be relative to: pages about one program leave its folder out.
const bases = ['', 'orchestrator/src/', 'provider/src/', 'packages/protocol/src/', 'db/', 'db/src/'];
const areaBases = [
  'db/migrations/',
  'orchestrator/src/leases/',
  'orchestrator/src/matching/',
  'tests/simulation/',
  'provider/src/',
  'packages/protocol/src/',
];

test('every source file that a page names exists', () => {
  const missing = pages.flatMap((page) =>
    [...readFileSync(page, 'utf8').matchAll(/`([\w@()[\]./-]+\.(?:tsx?|mjs|sql))`/g)]
      .map((match) => match[1] ?? '')
      .filter((path) => ![...bases, ...areaBases].some((base) => existsSync(join(root, base, path))))
      .map((path) => `${page.slice(root.length)} → ${path}`),
  );
  expect(missing).toEqual([]);
});
