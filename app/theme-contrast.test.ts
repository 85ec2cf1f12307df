import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ansiColors } from '../lib/ansi.ts';

const css = readFileSync(new URL('./globals.css', import.meta.url), 'utf8');

/** The colours of every block with this selector, by name. */
function tokensOf(selector: string): Map<string, string> {
  const tokens = new Map<string, string>();
  for (const block of css.matchAll(new RegExp(`^${selector} \\{([^}]*)\\}`, 'gm'))) {
    for (const [, name = '', value = ''] of (block[1] ?? '').matchAll(/--([\w-]+): (oklch\([^)]*\));/g)) {
      tokens.set(name, value);
    }
  }
  return tokens;
}

const light = tokensOf(':root');
const themes = [
  ['light', light],
  ['dark', new Map([...light, ...tokensOf('\\.dark')])],
] as const;

/** WCAG 2 relative luminance of `oklch(L C H)`. */
function luminance(color: string): number {
  const [lightness = 0, chroma = 0, hue = 0] = (color.match(/[\d.]+/g) ?? []).map(Number);
  const [a, b] = [chroma * Math.cos((hue * Math.PI) / 180), chroma * Math.sin((hue * Math.PI) / 180)];
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const clamp = (value: number) => Math.min(1, Math.max(0, value));
  const red = clamp(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s);
  const green = clamp(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s);
  const blue = clamp(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(tokens: ReadonlyMap<string, string>, first: string, second: string): number {
  const values = [first, second].map((name) => {
    const color = tokens.get(name);
    if (color === undefined) throw new Error(`globals.css has no --${name}`);
    return luminance(color);
  });
  return (Math.max(...values) + 0.05) / (Math.min(...values) + 0.05);
}

const states = ['running', 'success', 'attention', 'danger', 'neutral'];

/** Text and the grounds on which it stands. */
const textPairs: [string, string][] = [
  ...['background', 'card', 'popover', 'muted', 'secondary', 'accent'].map((ground): [string, string] => [
    'foreground',
    ground,
  ]),
  ...['background', 'card', 'popover', 'muted'].map((ground): [string, string] => [
    'muted-foreground',
    ground,
  ]),
  ...['background', 'card'].map((ground): [string, string] => ['primary', ground]),
  ['primary-foreground', 'primary'],
  ['primary-foreground', 'primary-hover'],
  ['secondary-foreground', 'secondary'],
  ['accent-foreground', 'accent'],
  ['destructive-foreground', 'destructive'],
  ...states.flatMap((state): [string, string][] => [
    [state, `${state}-surface`],
    ['foreground', `${state}-surface`],
    [state, 'card'],
  ]),
  ['sidebar-foreground', 'sidebar'],
  ['sidebar-muted', 'sidebar'],
  ['sidebar-foreground', 'sidebar-active'],
  ['sidebar-active-foreground', 'sidebar-active'],
  ['log-foreground', 'log'],
  ['log-foreground', 'log-raised'],
  ['log-muted', 'log'],
  ['log-muted', 'log-raised'],
  ['log-match-foreground', 'log-match'],
  ...ansiColors.map((color): [string, string] => [`ansi-${color}`, 'log']),
];

/** Edges, marks and rings, which need less than text. */
const edgePairs: [string, string][] = [
  ['input', 'card'],
  ['input', 'background'],
  ['ring', 'background'],
  ['ring', 'card'],
  ['primary', 'neutral-surface'],
  ['sidebar-mark', 'sidebar'],
  ['sidebar-mark', 'sidebar-active'],
  ['log-error', 'log'],
];

describe.each(themes)('the %s theme', (_name, tokens) => {
  it.each(textPairs)('has readable text: %s on %s', (text, ground) => {
    expect(contrast(tokens, text, ground)).toBeGreaterThanOrEqual(4.5);
  });

  it.each(edgePairs)('has visible edges: %s on %s', (edge, ground) => {
    expect(contrast(tokens, edge, ground)).toBeGreaterThanOrEqual(3);
  });
});

describe('the measure of contrast', () => {
  it('agrees with the definition at its ends', () => {
    const ends = new Map([
      ['white', 'oklch(1 0 0)'],
      ['black', 'oklch(0 0 0)'],
    ]);
    expect(contrast(ends, 'white', 'black')).toBeCloseTo(21, 3);
  });
});
