import { z } from 'zod';

/** What a registry wants of somebody who pulls a private image. Never part of a job: it lives only while that does. */
export const registryLogin = z.strictObject({
  username: z.string().min(1).max(256),
  password: z.string().min(1).max(4_096),
});
export type RegistryLogin = z.infer<typeof registryLogin>;

/** Beside a new job: its registry login, as JSON in base64url. A header, so that no body or its hash holds it. */
export const registryLoginHeader = 'computefabric-registry-login';

export function encodeRegistryLogin(login: RegistryLogin): string {
  return Buffer.from(JSON.stringify(login)).toString('base64url');
}

/** The login in a header; null when it is none. */
export function decodeRegistryLogin(text: string): RegistryLogin | null {
  try {
    return registryLogin.safeParse(JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))).data ?? null;
  } catch {
    return null; // not JSON
  }
}
