import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('.', import.meta.url));
const builtOrInstalled = ['**/node_modules/**', '**/.next/**', '**/dist/**', '**/.computefabric/**'];
const postgres = './tests/setup/postgres.ts';

// One project per kind of test; the end of a test file's name says which. A project's global setup (the
// database server) only runs when the project has a file to run.
export default defineConfig({
  resolve: {
    alias: [
      { find: /^@\//, replacement: root },
      // Next.js swaps this marker package for an empty one in server code; outside Next it throws.
      { find: 'server-only', replacement: `${root}node_modules/server-only/empty.js` },
    ],
  },
  test: {
    root,
    exclude: builtOrInstalled,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['**/*.test.ts'],
          exclude: [...builtOrInstalled, '**/*.{int,docker,journey,browser,simulation}.test.ts'],
          // Milliseconds are enough, but machines that run tests are shared and slow at times.
          testTimeout: 20_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'int',
          include: ['**/*.int.test.ts'],
          globalSetup: postgres,
          // Ten seconds at most on a quiet machine; shared ones are slow at times.
          testTimeout: 90_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        test: {
          // Each test starts `npm run simulate`, which has databases and processes of its own.
          name: 'simulation',
          include: ['**/*.simulation.test.ts'],
          testTimeout: 300_000,
          maxWorkers: 1,
          sequence: { groupOrder: 6 },
        },
      },
      {
        extends: true,
        test: {
          name: 'docker',
          include: ['**/*.docker.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 180_000,
          // One engine: parallel files would measure each other's containers.
          maxWorkers: 1,
          sequence: { groupOrder: 3 },
        },
      },
      {
        extends: true,
        test: {
          name: 'journey',
          include: ['tests/**/*.journey.test.ts'],
          globalSetup: postgres,
          testTimeout: 300_000,
          hookTimeout: 300_000,
          // Each has a market of its own and looks at no containers but its own; mostly they wait.
          maxWorkers: 2,
          sequence: { groupOrder: 4 },
        },
      },
      {
        extends: true,
        test: {
          name: 'browser',
          include: ['tests/browser/**/*.browser.test.ts'],
          globalSetup: postgres,
          testTimeout: 300_000,
          hookTimeout: 300_000,
          maxWorkers: 1,
          sequence: { groupOrder: 5 },
        },
      },
    ],
  },
});
