import type { TaskOutcome } from './task-record.ts';

/** A step found that the try cannot go on, and knows whose doing it is. */
export class TaskFailure extends Error {
  override readonly name = 'TaskFailure';
  readonly reason: TaskOutcome['reason'];

  /** @param detail what the machine says beside the reason; shown to the renter */
  constructor(reason: TaskOutcome['reason'], detail: string, cause?: unknown) {
    super(detail, { cause });
    this.reason = reason;
  }
}
