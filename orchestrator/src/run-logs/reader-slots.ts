import type { UserId } from '@computefabric/protocol/ids';
import { AppError } from '@computefabric/runtime/errors';

/** Streams that one user may have open at once: many windows and scripts, not a flood. */
export const streamsPerUser = 50;

/** Counts the open streams of each user, so that nobody can take all connections. */
export class ReaderSlots {
  readonly #open = new Map<UserId, number>();

  /**
   * Takes a place; gives how to leave it.
   *
   * @throws AppError `server/busy` when the user has too many.
   */
  take(userId: UserId): () => void {
    const open = this.#open.get(userId) ?? 0;
    if (open >= streamsPerUser) {
      throw new AppError('server/busy', { message: `You have ${open} streams open. Close one first.` });
    }
    this.#open.set(userId, open + 1);
    return () => {
      const left = (this.#open.get(userId) ?? 1) - 1;
      if (left > 0) this.#open.set(userId, left);
      else this.#open.delete(userId);
    };
  }
}
