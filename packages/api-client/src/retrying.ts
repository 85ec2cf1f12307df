import { backoffMs } from '@computefabric/runtime/backoff';
import { pause } from '@computefabric/runtime/wait';
import { isPassing, type Transport } from './transport.ts';

/** Does something that may be repeated, and again after failures that pass, as often as calls are tried. */
export async function retrying<T>(
  transport: Transport,
  signal: AbortSignal | undefined,
  once: () => Promise<T>,
): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await once();
    } catch (thrown) {
      if (attempt >= transport.retry.retries || !isPassing(thrown)) throw thrown;
      await pause(backoffMs(attempt, transport.retry), signal);
      signal?.throwIfAborted();
    }
  }
}
