import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { ColourWish } from '../terminal/terminal.ts';

/** What the program takes from its environment; an empty variable counts as absent. */
export interface Environment {
  url: string | undefined;
  token: string | undefined;
  configFile: string;
  colour: Omit<ColourWish, 'refused'> & { refused: boolean };
  /** What a person has to type to call this program again. */
  program: string;
}

/** Every variable with its meaning, for `help environment`. */
export const environmentVariables: readonly (readonly [name: string, meaning: string])[] = [
  ['COMPUTEFABRIC_URL', 'Address of the server, such as http://127.0.0.1:4000.'],
  [
    'COMPUTEFABRIC_TOKEN',
    'Your API key. Never given as a flag, where other users of the machine could see it.',
  ],
  ['XDG_CONFIG_HOME', 'Folder of the folder with the configuration file; ~/.config by default.'],
  ['NO_COLOR', 'No colours and no line that is drawn over, when not empty.'],
  ['FORCE_COLOR, CLICOLOR_FORCE', 'Colours also where the output is no terminal; 0 does nothing.'],
  ['TERM', '"dumb" means no colours and no line that is drawn over.'],
];

export function parseEnvironment(env: Readonly<Record<string, string | undefined>>): Environment {
  const given = (name: string) => env[name] || undefined;
  const wants = (name: string) => given(name) !== undefined && given(name) !== '0';
  const xdg = given('XDG_CONFIG_HOME');
  const home = given('HOME') ?? homedir();
  const windows = process.platform === 'win32' ? given('APPDATA') : undefined;
  const folder = xdg && isAbsolute(xdg) ? xdg : (windows ?? join(home, '.config'));
  return {
    url: given('COMPUTEFABRIC_URL'),
    token: given('COMPUTEFABRIC_TOKEN'),
    configFile: join(folder, 'computefabric', 'config.toml'),
    colour: {
      refused: given('NO_COLOR') !== undefined,
      forced: wants('FORCE_COLOR') || wants('CLICOLOR_FORCE'),
      dumb: given('TERM') === 'dumb',
    },
    // Started by npm, the plain name is not on the person's path.
    program: given('npm_command') ? 'npx cfab' : 'cfab',
  };
}
