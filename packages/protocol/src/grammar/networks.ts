import type { JobNetwork } from '../network.ts';

/** `internet`, `none`, or servers such as `pypi.org, *.huggingface.co`; null when it is none of these. */
export function parseNetwork(text: string): JobNetwork | null {
  const word = text.trim().toLowerCase();
  if (word === 'internet' || word === 'none') return { mode: word, allow: [] };
  const allow = word.split(/[\s,|]+/).filter((server) => server !== '');
  if (allow.length === 0 || !allow.every((server) => server.includes('.'))) return null;
  return { mode: 'allowlist', allow };
}

/** A network as it can be typed again. */
export function formatNetwork({ mode, allow }: JobNetwork): string {
  return mode === 'allowlist' ? allow.join(', ') : mode;
}
