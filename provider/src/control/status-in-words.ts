import type { ShownStatus } from './control-protocol.ts';
import type { Finding } from './examine-machine.ts';

const mostShown = 5;

const readingNames: Record<string, string> = {
  idleSeconds: 'keyboard, mouse',
  fullScreen: 'fills the screen',
  apps: 'listed programs',
  otherGpuUse: 'others on the GPU',
  onBattery: 'on battery',
  gpuCelsius: 'GPU',
  cpuCelsius: 'CPU',
  diskFreeMib: 'free disk',
};

/** The state of the machine for its owner at a terminal. */
export function statusInWords(status: ShownStatus): string {
  const facts: [string, string][] = [
    ['State', `${status.state}: ${status.sentence}`],
    ['New jobs', status.accepts_work ? 'are welcome' : 'are not taken'],
    ['Since', atClock(status.since)],
    ...(status.until === null ? [] : [['Until', atClock(status.until)] satisfies [string, string]]),
    ['You said', wishInWords(status.wish)],
    ['Profile', `${status.profile} (rules: ${status.config_path})`],
  ];
  const lines = [
    ...table(facts, ''),
    ...part(
      'Seen',
      table(
        Object.entries(status.readings).map(([name, words]) => [readingNames[name] ?? name, words]),
        '  ',
      ),
    ),
    ...part(
      'Problems',
      status.problems.map((problem) => `  ${problem}`),
    ),
    ...part(
      'Refused lately',
      status.refused
        .slice(0, mostShown)
        .map(({ at, job_id, reason }) => `  ${atClock(at)}  ${job_id}  ${reason}`),
    ),
    ...part(
      'Before',
      status.history
        .slice(1, mostShown + 1)
        .map(({ at, state, sentence }) => `  ${atClock(at)}  ${state}: ${sentence}`),
    ),
  ];
  return `${lines.map(withoutControlCharacters).join('\n')}\n`;
}

/** What was found, each with its way out. */
export function findingsInWords(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(({ check, state, says, remedy }) => {
    const head = `${state.padEnd('problem'.length)}  ${check.padEnd(width)}  `;
    const [first = '', ...more] = [...says.split('\n'), ...(remedy === '' ? [] : [`→ ${remedy}`])];
    return [head + first, ...more.map((line) => ' '.repeat(head.length) + line)];
  });
  return `${lines.map(withoutControlCharacters).join('\n')}\n`;
}

/** Names of programs and words of other programs may hold what a terminal obeys. */
export function withoutControlCharacters(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, ' ');
}

function wishInWords(wish: ShownStatus['wish']): string {
  switch (wish.kind) {
    case 'none':
      return 'nothing';
    case 'drained':
      return 'drain, until resume';
    case 'paused': {
      const until =
        wish.untilMs === null ? 'until resume' : `until ${atClock(new Date(wish.untilMs).toISOString())}`;
      return `pause ${until}${wish.afterJob ? ', after what runs' : ''}`;
    }
    default:
      return wish satisfies never;
  }
}

/** By the clock on the wall here, to the second. */
function atClock(iso: string): string {
  const at = new Date(iso);
  return Number.isNaN(at.getTime()) ? iso : at.toLocaleString('sv-SE');
}

function part(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', title, ...lines];
}

function table(rows: readonly (readonly [string, string])[], indent: string): string[] {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${indent}${name.padEnd(width)}  ${value}`);
}
