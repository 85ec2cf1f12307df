import type { Cli } from '../cli.ts';
import { exitCode } from '../exit-codes.ts';
import { money } from '../jobs/cost.ts';
import { facts } from '../terminal/table.ts';

/** `balance`: what is there, what is reserved, what your machines earned. */
export async function showBalance(cli: Cli): Promise<number> {
  const balance = await (await cli.client()).account.balance();
  if (cli.json) {
    cli.printJson(balance);
    return exitCode('ok');
  }
  const lines = facts(
    [
      ['available', money(balance.available_micros)],
      ['held', `${money(balance.held_micros)}   reserved for unfinished jobs`],
      ['earned', `${money(balance.earned_micros)}   by your machines`],
    ],
    '',
  );
  for (const line of lines) cli.print(line);
  if (balance.play_money) cli.say('This market uses play money: nobody is charged.');
  return exitCode('ok');
}
