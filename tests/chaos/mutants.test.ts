import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root } from '../journeys/program.ts';
import { buildMutant, isMutant, mutants } from './mutants.ts';

// A mutant that cannot be built, or whose modules are not part of the program any more, would be noticed by nobody
// before the next long run.
test.each(Object.keys(mutants).filter(isMutant))(
  'the mutant "%s" still fits into the orchestrator of today',
  async (name) => {
    expect(existsSync(join(root, await buildMutant(name)))).toBe(true);
  },
  60_000,
);
