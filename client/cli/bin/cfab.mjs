#!/usr/bin/env node
import { existsSync } from 'node:fs';
import module from 'node:module';
import { fileURLToPath } from 'node:url';

// The launcher of `cfab`. In a checkout it makes sure that the bundle matches the sources (about a
// millisecond when it does); installed from a package there are no sources and the bundle is all.
const sourceFile = new URL('../src/main.ts', import.meta.url);
const bundleFile = new URL('../dist/main.mjs', import.meta.url);

if (existsSync(sourceFile)) {
  const scripts = new URL('../../../scripts/', import.meta.url);
  const { isBundleFresh } = await import(new URL('lib/bundle-freshness.mjs', scripts).href);
  const rootDir = fileURLToPath(new URL('../../..', import.meta.url));
  if (!isBundleFresh(rootDir, fileURLToPath(bundleFile))) {
    const { ensureBundles } = await import(new URL('bundle.mjs', scripts).href);
    try {
      await ensureBundles(['cli']);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      process.stderr.write(`error: the command line could not be built\n  ${reason}\n`);
      process.exit(1);
    }
  }
}

// Node 22.1 and later keep the compiled code between runs, which halves the start-up time.
if ('enableCompileCache' in module && typeof module.enableCompileCache === 'function') {
  module.enableCompileCache();
}
await import(bundleFile.href);
