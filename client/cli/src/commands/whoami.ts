import type { Cli } from '../cli.ts';
import { exitCode } from '../exit-codes.ts';
import { money } from '../jobs/cost.ts';
import { plainText } from '../terminal/plain-text.ts';
import { facts } from '../terminal/table.ts';

/** `whoami`: server, person, key and balance. */
export async function whoAmI(cli: Cli): Promise<number> {
  const client = await cli.client();
  const { url } = await cli.settings();
  const me = await client.account.whoAmI();
  if (cli.json) {
    cli.printJson({ server: url.value, ...me });
    return exitCode('ok');
  }
  const { user, key, balance } = me;
  const lines = facts(
    [
      ['server', url.value],
      ['user', `${plainText(user.name)} <${plainText(user.email)}>, ${user.role}`],
      [
        'key',
        `${plainText(key.name)}, ${key.expires_at === null ? 'never expires' : `expires ${key.expires_at}`}`,
      ],
      ['balance', `${money(balance.available_micros)}${balance.play_money ? ' (play money)' : ''}`],
    ],
    '',
  );
  for (const line of lines) cli.print(line);
  return exitCode('ok');
}
