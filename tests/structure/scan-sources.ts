import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative, resolve, sep } from 'node:path';

/** One source file of ours: its path from the root, its text, and the files of ours that it imports. */
export interface Source {
  path: string;
  text: string;
  /** Paths from the root; only those that resolve to a file of ours. */
  imports: string[];
  /** Names of packages and built-in modules. */
  packages: string[];
}

const skipped = new Set(['node_modules', '.next', 'dist', '.git', '.computefabric', 'test-results']);

/**
 * Reads every TypeScript source and its import lines. A scanner of lines on purpose: tools that ask the
 * TypeScript compiler for imports see nothing under version 7 and then report that all is well.
 */
export function scanSources(root: string): Source[] {
  const paths = listFiles(root).map((path) => relative(root, path).split(sep).join(posix.sep));
  const known = new Set(paths);
  return paths.map((path) => {
    const text = readFileSync(join(root, path), 'utf8');
    const specifiers = importsOf(text);
    const targets = specifiers.map((specifier) => resolveImport(specifier, path, known));
    return {
      path,
      text,
      imports: targets.filter((target) => target !== null),
      packages: specifiers.filter(
        (specifier, index) => targets[index] === null && !specifier.startsWith('.'),
      ),
    };
  });
}

function listFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (skipped.has(entry.name)) return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return listFiles(path);
    return /\.(ts|tsx)$/.test(entry.name) && !entry.name.endsWith('.d.ts') ? [path] : [];
  });
}

/** Specifiers of import and export declarations and of `import()` calls with a literal. */
export function importsOf(text: string): string[] {
  const declaration = /^\s*(?:import|export)\s+(?:[^'"`;]*?\sfrom\s+)?['"]([^'"]+)['"]/gm;
  const dynamic = /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g;
  return [...text.matchAll(declaration), ...text.matchAll(dynamic)].map((match) => match[1] ?? '');
}

const workspaces: Record<string, string> = {
  '@computefabric/protocol': 'packages/protocol',
  '@computefabric/runtime': 'packages/runtime',
  '@computefabric/api-client': 'packages/api-client',
  '@computefabric/db': 'db',
};

function resolveImport(specifier: string, from: string, known: ReadonlySet<string>): string | null {
  const base = specifier.startsWith('.')
    ? relative(resolve('/'), resolve('/', dirname(from), specifier))
        .split(sep)
        .join(posix.sep)
    : specifier.startsWith('@/')
      ? specifier.slice(2)
      : workspaceFile(specifier);
  if (base === null) return null;
  return [base, `${base}.ts`, `${base}.tsx`].find((candidate) => known.has(candidate)) ?? null;
}

function workspaceFile(specifier: string): string | null {
  const name = Object.keys(workspaces).find((known) => specifier.startsWith(`${known}/`));
  return name ? `${workspaces[name]}/src${specifier.slice(name.length)}` : null;
}

/** Import cycles, each as the list of its files; found as strongly connected components (Tarjan, 1972). */
export function findCycles(sources: readonly Source[]): string[][] {
  const importsByPath = new Map(sources.map((source) => [source.path, source.imports]));
  const order = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const cycles: string[][] = [];
  const visit = (path: string): void => {
    order.set(path, order.size);
    low.set(path, order.get(path) ?? 0);
    stack.push(path);
    for (const next of importsByPath.get(path) ?? []) {
      if (!order.has(next)) {
        visit(next);
        low.set(path, Math.min(low.get(path) ?? 0, low.get(next) ?? 0));
      } else if (stack.includes(next)) {
        low.set(path, Math.min(low.get(path) ?? 0, order.get(next) ?? 0));
      }
    }
    if (low.get(path) !== order.get(path)) return;
    const component = stack.splice(stack.indexOf(path));
    if (component.length > 1 || importsByPath.get(path)?.includes(path)) cycles.push(component);
  };
  for (const { path } of sources) if (!order.has(path)) visit(path);
  return cycles;
}
