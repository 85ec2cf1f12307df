import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JobDraft } from '../types/job-draft.ts';
import { cliCommand, shellQuote } from './cli-command.ts';
import { emptyDraft } from './job-to-draft.ts';

const draft: JobDraft = {
  ...emptyDraft,
  image: 'busybox:latest',
  command: "echo 'hello'; exit 3",
  gpuModels: 'RTX 4090, A100',
  vram: '24GB..',
  cpus: '2',
  memory: '4GB',
  maxPrice: '$0.40',
  timeLimit: '30m',
  env: 'A=b c\nD=1',
};

/** The words that a real shell makes of a command line. */
function wordsOf(command: string): string[] {
  const script = `set -- ${command}; for word do printf '%s\\0' "$word"; done`;
  return execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8' }).split('\0').slice(0, -1);
}

describe('the command for a terminal', () => {
  it('says the same as the form', () => {
    const expected = [
      ['npx', 'cfab', 'submit', '--image', 'busybox:latest', '--command', "echo 'hello'; exit 3"],
      ['--gpus', '1', '--gpu', 'RTX 4090|A100', '--vram', '24GB..', '--cpus', '2', '--memory', '4GB'],
      ['--max-price', '0.40', '--time-limit', '30m', '--env', 'A=b c', '--env', 'D=1'],
    ];
    expect(wordsOf(cliCommand(draft))).toEqual(expected.flat());
  });

  it('says a sweep as the terminal takes it', () => {
    const words = wordsOf(cliCommand({ ...draft, matrix: 'lr=0.1, 0.01\nseed=1', maxParallel: '2' }));
    expect(words.join(' ')).toContain('--matrix lr=0.1,0.01 --matrix seed=1 --max-parallel 2');
  });

  it('leaves out what says nothing', () => {
    const command = cliCommand({ ...draft, gpus: '0', maxPrice: '', env: '', command: '' });
    expect(command).not.toMatch(/--(gpu|vram|max-price|env|command) /);
  });

  it('says what is behind the disclosure', () => {
    const more = { class: 'spot', replace: 'false', after: 'a, b:any', retries: '3', region: 'eu-west' };
    expect(wordsOf(cliCommand({ ...draft, ...more, env: '' })).slice(-10)).toEqual(
      [
        '--region',
        'eu-west',
        '--class',
        'spot',
        '--after',
        'a',
        '--after',
        'b:any',
        '--retries',
        '3',
        '--no-replace',
      ].slice(-10),
    );
  });

  it('survives a shell, whatever is typed', () => {
    const nasty = fc.string({
      unit: fc.constantFrom("'", '"', '$', '`', '\\', '!', ' ', '\n', ';', 'a', 'é', '*'),
      minLength: 1,
    });
    fc.assert(
      fc.property(nasty, (text) => {
        expect(wordsOf(shellQuote(text))).toEqual([text]);
      }),
      { numRuns: 60 },
    );
  });
});
