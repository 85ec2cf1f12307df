/** A promise of ours was broken: the request or task at hand dies, loudly. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Asserts what cannot be otherwise. Not for input: input is parsed. */
export function invariant(condition: unknown, what: string): asserts condition {
  if (!condition) throw new InvariantError(what);
}

/** Closes a switch: a new case does not compile until someone has thought about it. */
export function never(value: never, what: string): never {
  throw new InvariantError(`${what}: unexpected ${String(value)}`);
}
