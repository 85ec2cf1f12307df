import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { findCycles, importsOf, type Source, scanSources } from './scan-sources.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const sources = scanSources(root);
const isTest = ({ path }: Source) =>
  /\.test\.tsx?$/.test(path) || path.startsWith('tests/') || /\btesting\b/.test(path);
const production = sources.filter(
  (source) => !isTest(source) && !path(source, 'bench/', 'scripts/', 'examples/'),
);

function path(source: Source, ...prefixes: string[]): boolean {
  return prefixes.some((prefix) => source.path.startsWith(prefix));
}

/** Parts of the repository, and which others each may import. */
const areas: Record<string, { folders: string[]; mayImport: string[] }> = {
  protocol: { folders: ['packages/protocol/'], mayImport: [] },
  runtime: { folders: ['packages/runtime/'], mayImport: ['protocol'] },
  db: { folders: ['db/'], mayImport: ['protocol'] },
  'api-client': { folders: ['packages/api-client/'], mayImport: ['protocol', 'runtime'] },
  orchestrator: { folders: ['orchestrator/'], mayImport: ['protocol', 'runtime', 'db'] },
  provider: { folders: ['provider/'], mayImport: ['protocol', 'runtime'] },
  cli: { folders: ['client/cli/'], mayImport: ['protocol', 'runtime', 'api-client'] },
  'electron-app': { folders: ['client/electron-app/'], mayImport: ['protocol', 'runtime', 'api-client'] },
  dashboard: {
    folders: ['app/', 'actions/', 'components/', 'lib/', 'types/', 'proxy.ts', 'instrumentation.ts'],
    mayImport: ['protocol', 'runtime', 'db', 'api-client'],
  },
};

function areaOf(filePath: string): string | undefined {
  return Object.keys(areas).find((name) =>
    areas[name]?.folders.some((folder) => filePath.startsWith(folder)),
  );
}

/** Lines of sources that match, as `path:line`, apart from the files where it is allowed. */
function hits(pattern: RegExp, within: readonly Source[], allowed: RegExp): string[] {
  return within
    .filter(({ path: filePath }) => !allowed.test(filePath))
    .flatMap(({ path: filePath, text }) =>
      text
        .split('\n')
        .map((line, index) => ({
          line: line.replace(/\/\/.*$|^\s*\*.*$/, ''),
          at: `${filePath}:${index + 1}`,
        }))
        .filter(({ line }) => pattern.test(line))
        .map(({ at }) => at),
    );
}

describe('the structure of the repository', () => {
  test('the scanner sees the sources: a check that looks at nothing passes for nothing', () => {
    expect(sources.length).toBeGreaterThan(250);
    for (const name of Object.keys(areas).filter((area) => area !== 'electron-app')) {
      const files = sources.filter((source) => areaOf(source.path) === name);
      expect(files.length, name).toBeGreaterThan(3);
      expect(files.flatMap(({ imports }) => imports).length, name).toBeGreaterThan(2);
    }
  });

  test('the scanner understands every form of import', () => {
    const text = [
      "import a from 'a';",
      "import { b,\n  c } from './b.ts';",
      "import type { D } from 'd';",
      "export * from 'e';",
      "import 'f';",
      "const g = await import('g');",
    ].join('\n');
    expect(importsOf(text)).toEqual(['a', './b.ts', 'd', 'e', 'f', 'g']);
  });

  test('nobody imports what the import table does not allow', () => {
    const forbidden = production.flatMap((source) => {
      const own = areaOf(source.path);
      if (!own) return [];
      const allowed = [own, ...(areas[own]?.mayImport ?? [])];
      return source.imports
        .filter((target) => !allowed.includes(areaOf(target) ?? own))
        .map((target) => `${source.path} → ${target}`);
    });
    expect(forbidden).toEqual([]);
  });

  test('inside the dashboard, imports go app → components → actions → lib, and types is a leaf', () => {
    const rank = ['types/', 'lib/', 'actions/', 'components/', 'app/'];
    const rankOf = (filePath: string) => rank.findIndex((folder) => filePath.startsWith(folder));
    const upward = production
      .filter((source) => rankOf(source.path) >= 0)
      .flatMap((source) =>
        source.imports
          .filter((target) => rankOf(target) > rankOf(source.path))
          .map((target) => `${source.path} → ${target}`),
      );
    expect(upward).toEqual([]);
  });

  test('the dashboard reads the database only through lib, and the orchestrator only through lib/orchestrator', () => {
    const around = production
      .filter((source) => areaOf(source.path) === 'dashboard' && !path(source, 'lib/'))
      .flatMap((source) =>
        source.imports
          .filter((target) => target.startsWith('db/') || target.startsWith('packages/api-client/'))
          .map((target) => `${source.path} → ${target}`),
      );
    expect(around).toEqual([]);
  });

  test('there are no import cycles', () => {
    expect(findCycles(sources)).toEqual([]);
  });

  test('a cycle would be found', () => {
    const file = (name: string, ...imports: string[]): Source => ({
      path: name,
      text: '',
      imports,
      packages: [],
    });
    expect(findCycles([file('a', 'b'), file('b', 'c'), file('c', 'a'), file('d', 'a')])).toEqual([
      ['a', 'b', 'c'],
    ]);
  });

  test('every production file is imported by somebody or is an entry point', () => {
    const imported = new Set(sources.flatMap(({ imports }) => imports));
    const entry =
      /(^|\/)(main|guard-main|cli)\.ts$|^app\/|^proxy\.ts$|^instrumentation\.ts$|\.config\.ts$|^db\/src\/schema\//;
    const orphans = production
      .filter((source) => areaOf(source.path) && !entry.test(source.path) && !imported.has(source.path))
      .map((source) => source.path);
    expect(orphans).toEqual([]);
  });

  test('no barrel files', () => {
    expect(
      sources.filter((source) => /(^|\/)index\.tsx?$/.test(source.path)).map((source) => source.path),
    ).toEqual([]);
  });
});

describe('one place each', () => {
  const programs = production.filter((source) => areaOf(source.path));

  test('the Stripe SDK and the Docker client are each imported by the files that own them', () => {
    const users = (name: string) =>
      programs.filter(({ packages }) => packages.includes(name)).map((source) => source.path);
    for (const user of users('dockerode')) expect(user).toMatch(/^provider\/src\/container\//);
    for (const user of users('stripe')) expect(user).toBe('orchestrator/src/stripe/stripe-live.ts');
    expect(users('dockerode').length).toBeGreaterThan(0);
  });

  test('SQL is written in stores and in db', () => {
    const sql = programs.filter(
      (source) =>
        areaOf(source.path) === 'orchestrator' &&
        source.packages.includes('drizzle-orm') &&
        !/\.store\.ts$|\/background\//.test(source.path),
    );
    expect(sql.map((source) => source.path)).toEqual([]);
  });

  test('the environment is read where a program starts', () => {
    expect(
      hits(
        /process\.env\b/,
        programs,
        /(^|\/)(main|guard-main|cli|config|cli-config)\.ts$|^lib\/config\.ts$/,
      ),
    ).toEqual([]);
  });

  test('programs log through the logger; only the command line prints', () => {
    expect(hits(/\bconsole\./, programs, /^client\/cli\/|^db\/src\/cli\.ts$|^components\/|^app\//)).toEqual(
      [],
    );
  });

  test('nobody gives up types', () => {
    const givenUp = /\bas any\b|: any\b|@ts-ignore|@ts-expect-error|@ts-nocheck|as unknown as/;
    expect(hits(givenUp, sources, /^tests\/structure\//)).toEqual([]);
  });

  test('no test is switched off or narrowed', () => {
    expect(hits(/\b(test|it|describe)\.(only|todo)\(/, sources, /^tests\/structure\//)).toEqual([]);
  });
});
