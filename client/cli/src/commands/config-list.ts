import { existsSync } from 'node:fs';
import type { Cli } from '../cli.ts';
import { exitCode } from '../exit-codes.ts';
import type { Origin } from '../settings/settings.ts';
import { table } from '../terminal/table.ts';

/** `config list`: every setting, its value and where it comes from. The key itself is never shown. */
export async function listConfig(cli: Cli): Promise<number> {
  const { url, token, configFile, keyIsFor } = await cli.settings();
  const exists = existsSync(configFile);
  const items = [
    { name: 'url', value: url.value, origin: originText(url.origin, 'COMPUTEFABRIC_URL', configFile) },
    {
      name: 'token',
      value: token ? '(set, not shown)' : null,
      origin: token
        ? originText(token.origin, 'COMPUTEFABRIC_TOKEN', configFile)
        : keyIsFor
          ? `not used: the stored key is for ${keyIsFor}`
          : 'not set',
    },
    { name: 'config file', value: configFile, origin: exists ? 'exists' : 'does not exist' },
  ];
  if (cli.json) cli.printJson({ items });
  else {
    const columns = [{ title: 'SETTING' }, { title: 'VALUE' }, { title: 'FROM' }];
    const rows = items.map(({ name, value, origin }) => [name, value ?? '–', origin]);
    for (const line of table(columns, rows)) cli.print(line);
  }
  return exitCode('ok');
}

function originText(origin: Origin, variable: string, file: string): string {
  switch (origin) {
    case 'flag':
      return 'flag --url';
    case 'environment':
      return `environment, ${variable}`;
    case 'file':
      return `file, ${file}`;
    case 'default':
      return 'default';
  }
}
