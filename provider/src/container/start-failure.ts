import type { ContainerErrorCode } from './container-error.ts';

/** The engine answers a failed start with a sentence of the runtime below it; the first row that matches counts. */
const WORDINGS: readonly [RegExp, ContainerErrorCode][] = [
  [
    /could not select device driver|nvidia-container-cli|nvidia-container-runtime|unresolvable CDI device/i,
    'gpu-unavailable',
  ],
  [
    /executable file not found|no such file or directory: unknown|exec format error|permission denied: unknown|is a directory: unknown/i,
    'command-not-found',
  ],
  [/no space left on device/i, 'disk-full'],
  // Its prepared network has gone meanwhile.
  [/cannot join network|joining network namespace/i, 'network-gone'],
  [
    /failed to set up container networking|failed to create endpoint|could not find an available.*address pool|iptables/i,
    'network-unavailable',
  ],
];

/** The code for what the engine said about a container that did not start. */
export function classifyStartFailure(sentence: string): ContainerErrorCode {
  return WORDINGS.find(([wording]) => wording.test(sentence))?.[1] ?? 'start-failed';
}
