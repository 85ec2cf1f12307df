import { type Client, createClient } from '@computefabric/api-client/client';
import packageJson from '../package.json' with { type: 'json' };
import type { Interrupts } from './interrupts.ts';
import { isReadableByOthers } from './settings/config-file.ts';
import type { Environment } from './settings/environment.ts';
import { loadSettings, requireToken, type Settings } from './settings/settings.ts';
import type { Terminal } from './terminal/terminal.ts';

/** Flags that every command takes. */
export interface GlobalFlags {
  json?: boolean;
  url?: string;
  /** False with `--no-input`. */
  input: boolean;
  debug?: boolean;
}

/** What a command works with. */
export class Cli {
  readonly terminal: Terminal;
  readonly interrupts: Interrupts;
  readonly environment: Environment;
  readonly flags: GlobalFlags;
  #settings: Promise<Settings> | undefined;

  constructor(terminal: Terminal, interrupts: Interrupts, environment: Environment, flags: GlobalFlags) {
    this.terminal = terminal;
    this.interrupts = interrupts;
    this.environment = environment;
    this.flags = flags;
  }

  /** What a person types to call this program. */
  get program(): string {
    return this.environment.program;
  }

  get json(): boolean {
    return this.flags.json === true;
  }

  /** A question can be put: not in a script, not with `--no-input`. */
  get mayAsk(): boolean {
    return this.flags.input && this.terminal.canAsk;
  }

  settings(): Promise<Settings> {
    this.#settings ??= loadSettings(this.environment, { url: this.flags.url });
    return this.#settings;
  }

  /** A client for the server and key in force. @throws CliError when there is no key. */
  async client(): Promise<Client> {
    const settings = await this.settings();
    const token = requireToken(settings, this.program);
    if (settings.token?.origin === 'file' && (await isReadableByOthers(settings.configFile))) {
      this.say(`warning: others can read your API key; change that with: chmod 600 ${settings.configFile}`);
    }
    return this.clientFor(settings.url.value, () => token.reveal());
  }

  clientFor(baseUrl: string, token: () => string): Client {
    const { talk } = this.terminal;
    return createClient({
      baseUrl,
      token,
      userAgent: `cfab/${packageJson.version} node/${process.versions.node}`,
      onExchange: this.flags.debug
        ? ({ method, url, outcome, durationMs }) =>
            talk.line(talk.style.dim(`debug: ${method} ${url} → ${outcome} (${Math.round(durationMs)} ms)`))
        : undefined,
    });
  }

  /** Says something to a person; nothing with `--json`, where stderr is for errors alone. */
  say(text = ''): void {
    if (!this.json) this.terminal.talk.line(text);
  }

  /** One line of data. */
  print(text = ''): void {
    this.terminal.out.line(text);
  }

  /** One JSON object in one line. */
  printJson(value: object): void {
    this.terminal.out.line(toJson(value));
  }

  /** The same for one of many; resolves when the reader has room for more. */
  async streamJson(value: object): Promise<void> {
    await this.terminal.out.write(`${toJson(value)}\n`);
  }
}

function toJson(value: object): string {
  return JSON.stringify({ schema_version: 1, ...value });
}
