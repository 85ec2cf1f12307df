import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { toError } from '@computefabric/runtime/errors';
import { agentHome } from '../home/agent-home.ts';
import { AgentUnreachableError, askAgent } from './ask-agent.ts';
import { controlCommands, type ControlRequest, type ShownStatus } from './control-protocol.ts';
import type { Finding } from './examine-machine.ts';
import { findingsInWords, statusInWords, withoutControlCharacters } from './status-in-words.ts';

interface OwnerCommandOptions {
  /** The agent's folder unless `--home` names another. */
  home: string;
  out: (text: string) => void;
  err: (text: string) => void;
  /** Looks for faults, for the agent of this folder. */
  examine: (home: string) => Promise<Finding[]>;
}

/** How a command ends. */
const done = 0;
const notDone = 1;
const wrongUsage = 2;

const help = `The agent of ComputeFabric, which lends this machine.

Usage: computefabric-agent [command] [options]

Without a command it runs the agent, until Ctrl-C. With one it speaks to the agent that runs on this machine:

  status             what the machine does and why, and what is seen of it
  pause              yours at once: jobs have to go, and nothing new comes until resume
  pause 1h           the same, for so long
  pause until 18:00  the same, until the clock says so
  pause after-job    what runs may end first
  drain              nothing new until resume; what runs ends by itself
  resume             takes back a pause or a drain

Without an agent too:

  doctor             looks for what keeps an agent with these settings from working, and says what to do

Options:
  --json             the answer as JSON
  --home <folder>    the agent's folder (PROVIDER_HOME)
  -h, --help         this text

Exit code: 0 done, 1 not done (no agent runs, it could not, doctor found a problem), 2 wrong usage.
`;

/**
 * What the owner types.
 *
 * @returns the exit code
 */
export async function runOwnerCommand(
  words: readonly string[],
  options: OwnerCommandOptions,
): Promise<number> {
  const { out, err } = options;
  const asked = readWords(words);
  if (asked.kind === 'help') {
    out(help);
    return done;
  }
  const fail = (code: string, message: string, exitCode: number) => {
    err(asked.json ? toJson({ error: { code, message } }) : `error: ${withoutControlCharacters(message)}\n`);
    return exitCode;
  };
  if (asked.kind === 'wrong') return fail('usage', asked.message, wrongUsage);

  const home = asked.home === undefined ? options.home : resolve(asked.home);
  if (asked.kind === 'doctor') {
    const findings = await options.examine(home);
    out(asked.json ? toJson(findings) : findingsInWords(findings));
    return findings.some(({ state }) => state === 'problem') ? notDone : done;
  }
  try {
    const answer = await askAgent({ path: agentHome(home).controlSocket, home }, asked.request);
    if (!answer.ok)
      return fail(
        answer.error.code,
        answer.error.message,
        answer.error.code === 'invalid' ? wrongUsage : notDone,
      );
    const { status } = answer;
    out(asked.json ? toJson(status) : statusInWords(status));
    const hindrance = asked.request.command === 'resume' ? stillPaused(status) : null;
    return hindrance === null ? done : fail('paused-by-file', hindrance, notDone);
  } catch (thrown) {
    if (!(thrown instanceof AgentUnreachableError)) throw thrown;
    return fail('no-agent', thrown.message, notDone);
  }
}

type Asked =
  | { kind: 'help'; json: boolean }
  | { kind: 'wrong'; json: boolean; message: string }
  | { kind: 'doctor'; json: boolean; home: string | undefined }
  | { kind: 'request'; json: boolean; home: string | undefined; request: ControlRequest };

function readWords(words: readonly string[]): Asked {
  const json = words.includes('--json');
  const wrong = (message: string): Asked => ({
    kind: 'wrong',
    json,
    message: `${message} (see computefabric-agent --help)`,
  });
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(words);
  } catch (thrown) {
    return wrong(toError(thrown).message);
  }
  const { values, positionals } = parsed;
  const [name = '', ...rest] = positionals;
  if (values.help || name === 'help') return { kind: 'help', json };
  if (name === 'doctor' && rest.length === 0) return { kind: 'doctor', json, home: values.home };
  const command = controlCommands.find((known) => known === name);
  if (command === undefined)
    return wrong(name === '' ? 'which command?' : `there is no command "${positionals.join(' ')}"`);
  const request = (asked: ControlRequest): Asked => ({
    kind: 'request',
    json,
    home: values.home,
    request: asked,
  });
  if (command === 'pause') {
    const until = rest.join(' ');
    return until.length > 100 ? wrong('that is too long for a pause') : request({ command, until });
  }
  return rest.length > 0 ? wrong(`${command} takes nothing more: "${rest.join(' ')}"`) : request({ command });
}

function parse(words: readonly string[]) {
  return parseArgs({
    args: [...words],
    allowPositionals: true,
    options: {
      json: { type: 'boolean' },
      home: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
}

/** What the file says counts more than what is said by hand. */
function stillPaused({ reason, config_path }: ShownStatus): string | null {
  return reason === 'paused'
    ? `Still paused: ${config_path} says so ("paused": true); change it there.`
    : null;
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
