import 'server-only';

import { parseSettings } from '@computefabric/runtime/config';
import { secretSetting } from '@computefabric/runtime/secret';
import { z } from 'zod';

const settings = z.object({
  /** Where the orchestrator's API is. */
  COMPUTEFABRIC_URL: z.url({ protocol: /^https?$/ }).default('http://127.0.0.1:4000'),
  /** The market's PostgreSQL, which this program only reads. */
  DATABASE_URL: z
    .string({ error: 'is missing: give the address of the PostgreSQL database that the orchestrator uses' })
    .regex(/^postgres(ql)?:\/\//, 'must start with postgres:// or postgresql://')
    .transform((url) => url),
  /**
   * Local mode: the API key of the person at this machine. A request that names a loopback host is theirs
   * without a sign-in. Never set it where other people can reach the port.
   */
  DASHBOARD_LOCAL_TOKEN: secretSetting.optional(),
  /** Set by Next itself. */
  NODE_ENV: z.enum(['development', 'production', 'test']).default('production'),
});

/** The dashboard's settings out of an environment. */
export function parseConfig(env: Readonly<Record<string, string | undefined>>) {
  const parsed = parseSettings(settings, env);
  return {
    orchestratorUrl: parsed.COMPUTEFABRIC_URL.replace(/\/+$/, ''),
    databaseUrl: parsed.DATABASE_URL,
    localToken: parsed.DASHBOARD_LOCAL_TOKEN ?? null,
  };
}

export type DashboardConfig = ReturnType<typeof parseConfig>;

let config: DashboardConfig | undefined;

/** Read on first use, because the program is built where no settings are. @throws ConfigError */
export function getConfig(): DashboardConfig {
  config ??= parseConfig(process.env);
  return config;
}

/** The development server runs, with its looser content policy. Next replaces this expression when it builds. */
export const isDevelopment = process.env.NODE_ENV === 'development';
