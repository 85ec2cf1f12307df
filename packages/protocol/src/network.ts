import { z } from 'zod';
import { limits } from './limits.ts';

/**
 * What a job reaches: `internet`, never anything of its machine's owner; `allowlist`, only the servers that it names,
 * through the machine's proxy; `none`, nothing but itself.
 */
export const networkModes = ['none', 'allowlist', 'internet'] as const;
export const networkMode = z.enum(networkModes);
export type NetworkMode = z.infer<typeof networkMode>;

/**
 * A server that a job may reach: a name such as `pypi.org`, `*.pypi.org` for everything below that name (not the
 * name itself), each with a port behind a colon or for 80 and 443. An address is no name: it would get around the
 * check of what a name means.
 */
export const allowedServer = z
  .string()
  .max(limits.serverChars)
  .regex(
    /^(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?(?::[1-9]\d{0,4})?$/,
    'must be a name such as pypi.org, *.pypi.org or example.com:8443, in lower case',
  )
  .refine((text) => Number(text.split(':')[1] ?? 1) <= 65_535, 'must have a port of at most 65535');

export const jobNetwork = z
  .strictObject({
    mode: networkMode
      .default('internet')
      .describe('internet; allowlist: only the servers in allow; none: nothing.'),
    allow: z
      .array(allowedServer)
      .max(limits.allowedServers)
      .default([])
      .describe('Such as "pypi.org", "*.pypi.org" or "example.com:8443"; ports 80 and 443 unless named.'),
  })
  .refine(({ mode, allow }) => (mode === 'allowlist') === allow.length > 0, {
    path: ['allow'],
    message: 'must name servers with mode allowlist, and only then',
  })
  .meta({ id: 'JobNetwork' });
export type JobNetwork = z.infer<typeof jobNetwork>;
