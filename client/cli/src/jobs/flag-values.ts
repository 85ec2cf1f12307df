import { parseDuration } from '@computefabric/protocol/grammar/durations';
import { parseWhole } from '@computefabric/protocol/grammar/quantities';
import { parseSizeMib } from '@computefabric/protocol/grammar/sizes';
import { usageError } from '../errors/cli-error.ts';

/** Seconds in the value of a flag. @throws CliError cli/usage */
export function seconds(text: string, flag: string): number {
  const value = parseDuration(text);
  if (value === null)
    throw usageError(`${flag} "${text}" is not a duration`, 'such as 90s, 10m, 1h30m or 2d');
  return value;
}

/** MiB in the value of a flag. @throws CliError cli/usage */
export function sizeMib(text: string, flag: string): number {
  const value = parseSizeMib(text);
  if (value === null) throw usageError(`${flag} "${text}" is not a size`, 'such as 24GB, 16GiB or 512MB');
  return value;
}

/** A whole number in the value of a flag. @throws CliError cli/usage */
export function whole(text: string, flag: string, least = 0): number {
  const value = parseWhole(text);
  if (value === null || value < least) {
    throw usageError(`${flag} "${text}" is not a whole number of ${least} or more`);
  }
  return value;
}
