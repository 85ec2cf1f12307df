import type { ContainerErrorCode } from './container-error.ts';

/**
 * The engine reports every failed pull with a sentence and hardly any code, so the sentence is read. Each row is
 * the wording of the engine, of the registry, or of the Go library between them; the first that matches counts.
 */
const WORDINGS: readonly [RegExp, ContainerErrorCode][] = [
  [/no space left on device|disk quota exceeded/i, 'disk-full'],
  [/toomanyrequests|too many requests|rate limit/i, 'registry-rate-limited'],
  [
    /no matching manifest for|does not match the (detected|specified) (host|platform)|image operating system/i,
    'image-wrong-platform',
  ],
  [
    /manifest unknown|manifest for .* not found|name unknown|repository name not known|: not found$/i,
    'image-not-found',
  ],
  [
    /unauthorized|access denied|denied:|authentication required|no basic auth credentials|forbidden/i,
    'pull-denied',
  ],
  [/invalid reference format|invalid repository name/i, 'image-reference-invalid'],
  [
    /connection refused|connection reset|no such host|i\/o timeout|tls handshake|network is unreachable|no route to host|server misbehaving|context deadline exceeded|request canceled while waiting|server gave HTTP response|x509:|\bEOF\b|received unexpected HTTP status: 5|proxyconnect|client\.timeout exceeded/i,
    'registry-unreachable',
  ],
];

/** The code for what the engine said about a pull that failed; `pull-failed` for a wording not known here. */
export function classifyPullFailure(sentence: string): ContainerErrorCode {
  return WORDINGS.find(([wording]) => wording.test(sentence))?.[1] ?? 'pull-failed';
}
