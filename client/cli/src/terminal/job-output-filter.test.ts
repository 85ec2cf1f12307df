import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JobOutputFilter } from './job-output-filter.ts';
import { plainText } from './plain-text.ts';

const esc = '\u001b';
const bel = '\u0007';

/** Ways in which output drives, cheats or robs a terminal. */
const attacks: readonly [what: string, bytes: string, shown: string][] = [
  ['colours are kept', `${esc}[1;31mred${esc}[0m`, `${esc}[1;31mred${esc}[0m`],
  ['true colour is kept', `${esc}[38;2;1;2;3mx${esc}[m`, `${esc}[38;2;1;2;3mx${esc}[m`],
  ['the title cannot be set', `${esc}]0;owned${bel}a`, 'a'],
  ['the clipboard cannot be written (OSC 52)', `${esc}]52;c;ZXZpbA==${esc}\\a`, 'a'],
  [
    'links cannot hide where they lead (OSC 8)',
    `${esc}]8;;http://evil.test${bel}bank${esc}]8;;${bel}`,
    'bank',
  ],
  ['the screen cannot be cleared', `${esc}[2J${esc}[Ha`, 'a'],
  ['the cursor cannot go back up', `safe\n${esc}[1A${esc}[2Kevil`, 'safe\nevil'],
  ['no report can be asked for, which types into the shell', `${esc}[6n${esc}[c${esc}Za`, 'a'],
  ['device control strings are dropped', `${esc}P1$r0;q${esc}\\a`, 'a'],
  ['private messages and application commands are dropped', `${esc}^x${esc}\\${esc}_y${esc}\\a`, 'a'],
  ['C1 introducers are the same in one character', `\u009b2Ja\u009d0;t\u009cb`, 'ab'],
  ['reading direction cannot be turned', 'abc\u202etxt.exe\u2066\u200f', 'abctxt.exe'],
  ['bells, backspaces and NULs are dropped', `a${bel}b\bc\u0000d\u007f`, 'abcd'],
  ['progress bars may return to the start of their line', '10%\r20%\n', '10%\r20%\n'],
  ['tabs and lines are kept', 'a\tb\nc', 'a\tb\nc'],
  ['an unfinished sequence does not swallow the lines after it', `${esc}]0;never ended\nnext`, '\nnext'],
  ['a private mode is no colour', `${esc}[?25l${esc}[>4;1ma`, 'a'],
  ['character sets cannot be switched', `${esc}(0${esc}#8a`, 'a'],
  ['an endless colour is dropped', `${esc}[${'1;'.repeat(200)}ma`, 'a'],
];

function filtered(text: string, cuts: readonly number[] = []): string {
  const filter = new JobOutputFilter(true);
  const bytes = Buffer.from(text);
  let shown = '';
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    const to = Math.min(Math.max(cut, from), bytes.length);
    shown += filter.push(bytes.subarray(from, to));
    from = to;
  }
  return shown + filter.end();
}

describe('job output on a terminal', () => {
  test.each(attacks)('%s', (_, bytes, shown) => {
    expect(filtered(bytes)).toBe(shown);
  });

  test('it does not matter where the network cuts it', () => {
    const all = attacks.map(([, bytes]) => bytes).join('é☃😀\n');
    fc.assert(
      fc.property(fc.array(fc.nat(Buffer.byteLength(all)), { maxLength: 8 }), (cuts) => {
        expect(
          filtered(
            all,
            cuts.toSorted((a, b) => a - b),
          ),
        ).toBe(filtered(all));
      }),
    );
  });

  test('whatever goes in, only text, new line, return, tab and colours come out', () => {
    const piece = fc.oneof(
      fc.nat(0x2_100).map((code) => String.fromCodePoint(code)), // controls, marks of direction, letters
      fc.constantFrom(...attacks.map(([, bytes]) => bytes), esc, `${esc}[`, `${esc}]`, '\u009b', '1;', 'm'),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const shown = filtered(pieces.join(''));
        const rest = shown.replaceAll(/\u001b\[[0-9;:]*m/g, '');
        expect(rest).not.toMatch(
          /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/,
        );
      }),
      { numRuns: 300 },
    );
  });

  test('bytes that are no UTF-8 become replacement marks, not C1 controls', () => {
    expect(new JobOutputFilter(true).push(Buffer.from([0x61, 0x9b, 0x32, 0x4a, 0x62]))).toBe('a\ufffd2Jb');
  });

  test("the job's colour ends before we speak", () => {
    const filter = new JobOutputFilter(true);
    expect(filter.push(Buffer.from(`${esc}[31mred`)) + filter.reset()).toBe(`${esc}[31mred${esc}[0m`);
    expect(filter.reset()).toBe('');
  });

  test('without colours there is no escape at all', () => {
    const filter = new JobOutputFilter(false);
    expect(filter.push(Buffer.from(`${esc}[31mred${esc}[0m`)) + filter.end()).toBe('red');
  });
});

test('a name of others stays in its place of a line of ours', () => {
  expect(plainText(`a${esc}[31mb\nc\u202ed`)).toBe('a\ufffd[31mb\ufffdc\ufffdd');
});
