import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { parseAnsiLine, plainStyle, type StyledText } from './ansi.ts';

const parse = (line: string): StyledText[] => parseAnsiLine(line, plainStyle).pieces;
const textOf = (line: string): string =>
  parse(line)
    .map((piece) => piece.text)
    .join('');

describe('a line of program output', () => {
  it('keeps colour and weight as style and takes their sequences out of the text', () => {
    expect(parse('a \u001b[1;31mred\u001b[0m z')).toEqual([
      { text: 'a ', style: plainStyle },
      { text: 'red', style: { ...plainStyle, bold: true, color: 'red' } },
      { text: ' z', style: plainStyle },
    ]);
  });

  it('carries an unfinished style to the next line', () => {
    const first = parseAnsiLine('\u001b[32mgreen', plainStyle);
    expect(parseAnsiLine('still green', first.endStyle).pieces[0]?.style.color).toBe('green');
  });

  it.each([
    ['bright', '\u001b[91mx', 'bright-red'],
    ['256-colour cube', '\u001b[38;5;196mx', 'bright-red'],
    ['256-colour grey', '\u001b[38;5;244mx', 'bright-black'],
    ['palette', '\u001b[38;5;4mx', 'blue'],
    ['true colour', '\u001b[38;2;250;250;10mx', 'bright-yellow'],
    ['true colour with colons', '\u001b[38:2::0:200:0mx', 'green'],
  ])('maps a %s colour to one of the sixteen', (_name, line, color) => {
    expect(parse(line)).toEqual([{ text: 'x', style: { ...plainStyle, color } }]);
  });

  it('goes on reading codes after an extended colour', () => {
    expect(parse('\u001b[38;5;1;48;2;0;0;0;4mx')[0]?.style).toEqual({
      ...plainStyle,
      color: 'red',
      background: 'black',
      underline: true,
    });
  });

  // What a program could print to attack whoever reads its output.
  it.each([
    ['markup stays text', '<img src=x onerror=alert(1)>', '<img src=x onerror=alert(1)>'],
    ['a link sequence is dropped', '\u001b]8;;javascript:alert(1)\u0007click\u001b]8;;\u0007', 'click'],
    [
      'a link ended by ST is dropped',
      '\u001b]8;;https://evil.example\u001b\\click\u001b]8;;\u001b\\',
      'click',
    ],
    ['a clipboard write is dropped', 'a\u001b]52;c;ZXZpbA==\u0007b', 'ab'],
    ['a window title is dropped', '\u001b]0;pwned\u0007ok', 'ok'],
    ['a device string is dropped', 'a\u001bP1;1|17/ab\u001b\\b', 'ab'],
    ['an application string is dropped', 'a\u001b_G;data\u001b\\b', 'ab'],
    ['cursor moves and erasing are dropped', 'a\u001b[2J\u001b[1;1Hb\u001b[Kc', 'abc'],
    ['mode changes are dropped', '\u001b[?1049hx\u001b[?25l', 'x'],
    ['a keyboard mode that ends in m is dropped', '\u001b[>4;2mx', 'x'],
    ['a reset of the terminal is dropped', 'a\u001bcb', 'ab'],
    ['a character set change is dropped', '\u001b(0lqk', 'lqk'],
    ['C0 controls become visible', 'a\u0007b\u0008c\u0000d', 'a\u2407b\u2408c\u2400d'],
    ['8-bit CSI and OSC become visible', '\u009b31mx\u009d0;t', '\ufffd31mx\ufffd0;t'],
    ['direction overrides become visible', 'abc\u202ecba\u2066x\u2069', 'abc\ufffdcba\ufffdx\ufffd'],
    ['a tab stays a tab', 'a\tb', 'a\tb'],
    ['a lone escape is dropped', 'a\u001b', 'a'],
  ])('%s', (_name, line, expected) => {
    expect(textOf(line)).toBe(expected);
  });

  it('lets an unfinished string sequence swallow its own line at most', () => {
    const cut = parseAnsiLine('seen\u001b]0;never closed', plainStyle);
    expect(cut.pieces.map((piece) => piece.text)).toEqual(['seen']);
    expect(parseAnsiLine('next line', cut.endStyle).pieces[0]?.text).toBe('next line');
  });

  it('ignores "conceal", so that output cannot hide from its reader', () => {
    expect(parse('\u001b[8msecret')).toEqual([{ text: 'secret', style: plainStyle }]);
  });

  it('never lets a control character through, whatever comes in', () => {
    const nasty = fc.string({
      unit: fc.constantFrom(
        '\u001b',
        '[',
        ']',
        'P',
        '\\',
        'm',
        '3',
        ';',
        ':',
        '\u0007',
        '\u009b',
        '\u202e',
        'a',
        ' ',
        '?',
      ),
      maxLength: 60,
    });
    fc.assert(
      fc.property(nasty, (line) => {
        expect(textOf(line)).not.toMatch(
          /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/,
        );
      }),
    );
  });

  it('reads a long hostile line in a time that grows with its length only', () => {
    const line = '\u001b]'.repeat(50_000);
    const startedAt = performance.now();
    textOf(line);
    textOf('\u001b[1;'.repeat(50_000));
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });
});
