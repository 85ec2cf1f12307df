#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

// The launcher of `computefabric-agent`. In a checkout it makes sure that the bundles match the sources, and works in
// the folder in which `npm start --workspace provider` does, so that both mean the same PROVIDER_HOME by default.
const sourceFile = new URL('../src/main.ts', import.meta.url);
const bundleFile = new URL('../dist/main.mjs', import.meta.url);

if (existsSync(sourceFile)) {
  const { ensureBundles } = await import(new URL('../../scripts/bundle.mjs', import.meta.url).href);
  try {
    await ensureBundles(['provider', 'guard']);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    process.stderr.write(`error: the agent could not be built\n  ${reason}\n`);
    process.exit(1);
  }
  process.chdir(fileURLToPath(new URL('..', import.meta.url)));
}
await import(bundleFile.href);
