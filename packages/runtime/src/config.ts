import { z } from 'zod';

/** Settings that a person got wrong; the message lists every one of them with the way out. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/**
 * Reads a program's settings out of its environment. Empty variables count as absent, so that a line
 * `NAME=` in an env file does not override a default.
 *
 * @throws ConfigError naming every wrong variable at once.
 */
export function parseSettings<T extends z.ZodType>(
  schema: T,
  env: Readonly<Record<string, string | undefined>>,
): z.output<T> {
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map(
    (issue) => `  ${issue.path.join('.') || 'settings'}: ${issue.message}`,
  );
  throw new ConfigError(
    `These settings are not valid:\n${lines.join('\n')}\nSee .env.example for what each one takes.`,
  );
}

/** A TCP port. */
export const portSetting = z.coerce.number().int().min(1).max(65_535);

/** Seconds, with fractions. */
export const secondsSetting = z.coerce.number().positive().max(86_400);

/** The words of a yes-or-no setting. */
export const booleanSetting = z
  .enum(['true', 'false', '1', '0'])
  .transform((word) => word === 'true' || word === '1');

export const logLevelSetting = z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']);
