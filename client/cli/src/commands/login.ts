import { Secret } from '@computefabric/runtime/secret';
import type { Cli } from '../cli.ts';
import { usageError } from '../errors/cli-error.ts';
import { exitCode } from '../exit-codes.ts';
import { Interrupted } from '../interrupts.ts';
import { readConfigFile, writeConfigFile } from '../settings/config-file.ts';
import { checkToken } from '../settings/settings.ts';
import { plainText } from '../terminal/plain-text.ts';

/** Longest text that is taken for a key, characters. */
const longestKey = 1_024;

/** `login --with-token`: reads a key from stdin, tries it, and stores it for its owner alone. */
export async function login(cli: Cli, flags: { withToken?: boolean }): Promise<number> {
  if (!flags.withToken) {
    throw usageError(
      'say where the API key comes from: --with-token reads it from standard input',
      `${cli.program} login --with-token < key-file`,
      'a key is never given as a flag, where other users of the machine could see it',
    );
  }
  const { url, configFile } = await cli.settings();
  const key = new Secret((await readKey(cli)).trim());
  checkToken(key, 'standard input', cli.program);
  const me = await cli.clientFor(url.value, () => key.reveal()).account.whoAmI();
  await writeConfigFile(configFile, {
    ...(await readConfigFile(configFile)),
    url: url.value,
    token: key.reveal(),
  });
  if (cli.json) cli.printJson({ server: url.value, user: me.user, config_file: configFile });
  else {
    cli.say(`Logged in to ${url.value} as ${plainText(me.user.name)} <${plainText(me.user.email)}>.`);
    cli.say(`The key is stored in ${configFile}, readable by you alone.`);
  }
  return exitCode('ok');
}

async function readKey(cli: Cli): Promise<string> {
  const { stdin } = cli.terminal;
  if (cli.mayAsk) return await askHidden(cli);
  let text = '';
  for await (const part of stdin.setEncoding('utf8')) {
    text += String(part);
    if (text.length > longestKey) throw usageError('standard input is too long to be an API key');
  }
  return text;
}

/** One line typed or pasted on a terminal, without showing it. */
async function askHidden(cli: Cli): Promise<string> {
  const { stdin, talk } = cli.terminal;
  talk.raw('API key (not shown while you type or paste): ');
  stdin.setRawMode(true);
  stdin.setEncoding('utf8');
  let text = '';
  try {
    for await (const part of stdin) {
      for (const char of String(part)) {
        if (char === '\u0003') throw new Interrupted('interrupted');
        if (char === '\r' || char === '\n' || char === '\u0004') return text;
        if (char === '\u007f' || char === '\b') text = text.slice(0, -1);
        else if (text.length < longestKey) text += char;
      }
    }
    return text;
  } finally {
    stdin.setRawMode(false);
    talk.raw('\n');
  }
}
