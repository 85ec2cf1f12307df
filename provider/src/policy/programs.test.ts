import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { testSpec } from '../testing/test-spec.ts';
import { askOwnerHook } from './ask-owner-hook.ts';
import { PowerLimits } from './power-limits.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cf-programs-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function program(name: string, script: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

const spec = testSpec({ env: { TOKEN: 'very-secret' }, image: 'example/image' });
const ask = async (script: string, seconds = 5) =>
  await askOwnerHook({ command: [program('hook', script)], seconds }, spec);

test('the owner’s program sees the job and no secret of it', async () => {
  expect(await ask(`cat > ${folder}/seen`)).toEqual({ kind: 'yes' });
  const seen = readFileSync(join(folder, 'seen'), 'utf8');
  expect(JSON.parse(seen)).toMatchObject({ image: 'example/image', env_names: ['TOKEN'] });
  expect(seen).not.toContain('very-secret');
});

test.each([
  ['says no with a reason', 'echo "not at night"; exit 1', 'not at night'],
  ['says no without one', 'exit 1', 'your program said no'],
  ['fails', 'exit 7', 'your program ended with exit code 7'],
  ['does not answer', 'sleep 60', 'your program did not answer within 1 s'],
  ['leaves somebody behind who does not end', 'sleep 60 & exit 1', 'your program said no'],
  ['says far too much', 'yes no | head -c 10000000; exit 1', 'no'],
])('a program that %s has not said yes', async (_, script, reason) => {
  expect(await ask(script, 1)).toEqual({ kind: 'no', reason });
});

test('a program that is not there has not said yes', async () => {
  const answer = await askOwnerHook({ command: [join(folder, 'none')], seconds: 1 }, spec);
  expect(answer).toMatchObject({ kind: 'no', reason: expect.stringContaining('could not be started') });
});

/** A card whose limit lies in a file; a second one cannot be limited. */
function fakeSmi(watts: number): string {
  writeFileSync(join(folder, 'limit'), String(watts));
  return program(
    'nvidia-smi',
    `case "$1" in
--query*) echo "GPU-1, $(cat ${folder}/limit), 100.00, 450.00"; echo "GPU-2, [N/A], [N/A], [N/A]";;
-i) [ "$2" = GPU-1 ] || exit 3; echo "$4" > ${folder}/limit;;
esac`,
  );
}
const limit = () => Number(readFileSync(join(folder, 'limit'), 'utf8'));

test('the power of a card is limited while jobs run and put back afterwards', async () => {
  const power = new PowerLimits(join(folder, 'before.json'), fakeSmi(350));
  await power.apply(null);
  expect(limit()).toBe(350);
  await power.apply(220);
  expect(limit()).toBe(220);
  await power.apply(50);
  expect(limit()).toBe(100); // the least that the card allows
  await power.apply(null);
  expect(limit()).toBe(350);
  expect(existsSync(join(folder, 'before.json'))).toBe(false);
});

test('an agent that was killed leaves it to the next one to put the power back', async () => {
  const smi = fakeSmi(350);
  await new PowerLimits(join(folder, 'before.json'), smi).apply(220);
  const next = new PowerLimits(join(folder, 'before.json'), smi);
  await next.apply(200);
  expect(limit()).toBe(200);
  await new PowerLimits(join(folder, 'before.json'), smi).apply(null);
  expect(limit()).toBe(350);
});

test('a limit never lets a card take more than before', async () => {
  const power = new PowerLimits(join(folder, 'before.json'), fakeSmi(200));
  await power.apply(400);
  expect(limit()).toBe(200);
});

test('a tool that refuses says so in its own words', async () => {
  const smi = program('nvidia-smi', 'echo "Insufficient Permissions" >&2; exit 4');
  await expect(new PowerLimits(join(folder, 'before.json'), smi).apply(200)).rejects.toThrow(/Permissions/);
});
