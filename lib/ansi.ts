/** The sixteen colours of a terminal; the theme gives each a value that is readable on the log's ground. */
export const ansiColors = [
  'black',
  'red',
  'green',
  'yellow',
  'blue',
  'magenta',
  'cyan',
  'white',
  'bright-black',
  'bright-red',
  'bright-green',
  'bright-yellow',
  'bright-blue',
  'bright-magenta',
  'bright-cyan',
  'bright-white',
] as const;
export type AnsiColor = (typeof ansiColors)[number];

export interface TextStyle {
  color: AnsiColor | null;
  background: AnsiColor | null;
  bold: boolean;
  dim: boolean;
  italic: boolean;
  underline: boolean;
  strike: boolean;
  inverse: boolean;
}

export interface StyledText {
  text: string;
  style: TextStyle;
}

export const plainStyle: TextStyle = {
  color: null,
  background: null,
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  strike: false,
  inverse: false,
};

/**
 * Reads one line of a program's output, which may hold anything, into pieces of harmless styled text.
 *
 * Three rules: colour and weight sequences (SGR) become a style; every other escape sequence (titles, links,
 * clipboard writes, cursor moves, device strings) is dropped whole; control characters and bidirectional
 * overrides are replaced by visible signs. An unfinished sequence ends with the line at the latest, so it
 * cannot hide the lines after it. The caller must put the text into text nodes, never into HTML.
 *
 * Returns the style in force at the end, to start the next line of the same stream with.
 */
export function parseAnsiLine(
  line: string,
  startStyle: TextStyle,
): { pieces: StyledText[]; endStyle: TextStyle } {
  const pieces: StyledText[] = [];
  let style = startStyle;
  let from = 0;
  const push = (to: number) => {
    const text = showControls(line.slice(from, to));
    const last = pieces.at(-1);
    if (text === '') return;
    if (last && last.style === style) last.text += text;
    else pieces.push({ text, style });
  };
  for (let at = line.indexOf(ESC); at !== -1; at = line.indexOf(ESC, from)) {
    push(at);
    const sequence = matchSequence(line, at);
    if (sequence.sgr !== null) style = applySgr(style, sequence.sgr);
    from = sequence.end;
  }
  push(line.length);
  return { pieces, endStyle: style };
}

const ESC = '\u001b';

interface Sequence {
  /** First character after the sequence. */
  end: number;
  /** Parameters when it sets colour or weight; null for every other sequence. */
  sgr: string | null;
}

// CSI: parameters, intermediates, one final character. Cut off early, it reaches to the end of the line.
const csi = /\u001b\[([0-?]*)([ -/]*)([@-~]?)/y;
// OSC, DCS, SOS, PM and APC carry a string, which ends with BEL or ST or, at the latest, with the line.
const stringSequence =
  /\u001b[\]PX^_][^\u0007\u001b\u009c]*(?:\u001b(?!\\)[^\u0007\u001b\u009c]*)*(?:\u0007|\u009c|\u001b\\|$)/y;
const shortSequence = /\u001b[ -/]*[0-~]?/y;

function matchSequence(line: string, at: number): Sequence {
  for (const pattern of [csi, stringSequence, shortSequence]) {
    pattern.lastIndex = at;
    const match = pattern.exec(line);
    if (!match) continue;
    // `ESC [ > … m` and its like are not SGR although they end in m.
    const isSgr = pattern === csi && match[3] === 'm' && match[2] === '' && /^[0-9;:]*$/.test(match[1] ?? '');
    return { end: pattern.lastIndex, sgr: isSgr ? (match[1] ?? '') : null };
  }
  return { end: at + 1, sgr: null };
}

function showControls(text: string): string {
  return text.replace(hidden, (character) => {
    const code = character.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return code === 0x7f ? '\u2421' : '\ufffd';
  });
}

// C0 except tab, DEL, C1, line separators, and the marks that reorder or hide the text around them.
const hidden = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Far above what programs send; a longer list is an attack on the parser, and its rest is ignored. */
const maxSgrParameters = 64;

function applySgr(style: TextStyle, parameters: string): TextStyle {
  const codes = parameters
    .split(/[;:]/, maxSgrParameters)
    .map((code) => (code === '' ? 0 : Math.min(Number.parseInt(code, 10), 10_000)));
  // The colon form `38:2::r:g:b` has an empty colour-space field, which the semicolon form lacks.
  if (/^[34]8:2:\d*:\d+:\d+:\d+/.test(parameters)) codes.splice(2, 1);
  let next = { ...style };
  for (let i = 0; i < codes.length; i += 1) {
    const code = codes[i] ?? 0;
    if (code === 38 || code === 48) {
      const extended = extendedColor(codes, i + 1);
      i += extended.used;
      if (extended.color)
        next = code === 38 ? { ...next, color: extended.color } : { ...next, background: extended.color };
    } else {
      next = applyCode(next, code);
    }
  }
  return next;
}

function applyCode(style: TextStyle, code: number): TextStyle {
  if (code >= 30 && code <= 37) return { ...style, color: ansiColors[code - 30] ?? null };
  if (code >= 90 && code <= 97) return { ...style, color: ansiColors[code - 82] ?? null };
  if (code >= 40 && code <= 47) return { ...style, background: ansiColors[code - 40] ?? null };
  if (code >= 100 && code <= 107) return { ...style, background: ansiColors[code - 92] ?? null };
  switch (code) {
    case 0:
      return plainStyle;
    case 1:
      return { ...style, bold: true };
    case 2:
      return { ...style, dim: true };
    case 3:
      return { ...style, italic: true };
    case 4:
    case 21:
      return { ...style, underline: true };
    case 7:
      return { ...style, inverse: true };
    case 9:
      return { ...style, strike: true };
    case 22:
      return { ...style, bold: false, dim: false };
    case 23:
      return { ...style, italic: false };
    case 24:
      return { ...style, underline: false };
    case 27:
      return { ...style, inverse: false };
    case 29:
      return { ...style, strike: false };
    case 39:
      return { ...style, color: null };
    case 49:
      return { ...style, background: null };
    default:
      // Blinking, fonts, and "conceal", which would hide text from the reader, are ignored on purpose.
      return style;
  }
}

/** Colours beyond the sixteen become the nearest of the sixteen, whose contrast is known. */
function extendedColor(codes: readonly number[], at: number): { color: AnsiColor | null; used: number } {
  if (codes[at] === 5) return { color: paletteColor(codes[at + 1] ?? 0), used: 2 };
  if (codes[at] === 2) {
    const [red = 0, green = 0, blue = 0] = codes.slice(at + 1, at + 4);
    return { color: nearestColor(red, green, blue), used: 4 };
  }
  return { color: null, used: 1 };
}

function paletteColor(index: number): AnsiColor | null {
  if (index < 16) return ansiColors[index] ?? null;
  if (index > 255) return null;
  if (index >= 232) {
    const grey = 8 + (index - 232) * 10;
    return nearestColor(grey, grey, grey);
  }
  const level = (value: number) => (value === 0 ? 0 : 55 + value * 40);
  const cube = index - 16;
  return nearestColor(level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6));
}

/** The usual values of the sixteen colours (xterm's), only to find which is nearest. */
const reference: readonly (readonly [number, number, number])[] = [
  [0, 0, 0],
  [205, 0, 0],
  [0, 205, 0],
  [205, 205, 0],
  [0, 0, 238],
  [205, 0, 205],
  [0, 205, 205],
  [229, 229, 229],
  [127, 127, 127],
  [255, 0, 0],
  [0, 255, 0],
  [255, 255, 0],
  [92, 92, 255],
  [255, 0, 255],
  [0, 255, 255],
  [255, 255, 255],
];

function nearestColor(red: number, green: number, blue: number): AnsiColor | null {
  let best = 0;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const [index, [r, g, b]] of reference.entries()) {
    const distance = (r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2;
    if (distance < bestDistance) [best, bestDistance] = [index, distance];
  }
  return ansiColors[best] ?? null;
}
