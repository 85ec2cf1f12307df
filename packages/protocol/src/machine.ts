/**
 * A state machine as data: for each state, the events that may happen in it and where each leads.
 * A state without events is terminal.
 */
export type Transitions<S extends string> = {
  readonly [state in S]: { readonly [event: string]: S | readonly S[] };
};

export interface Machine<S extends string> {
  readonly states: readonly S[];
  /** No event leads out of this state. */
  isTerminal(state: S): boolean;
  /** Whether some event leads from `from` to `to`. */
  canMove(from: S, to: S): boolean;
  /** Every state from which `to` can be reached in one step: the guard of a guarded update. */
  sourcesOf(to: S): S[];
}

/** Turns a transition table into the questions that programs ask of it. The table is the only list of states. */
export function defineMachine<const T extends Transitions<keyof T & string>>(
  table: T,
): Machine<keyof T & string> {
  type S = keyof T & string;
  const states = Object.keys(table) as S[];
  const targets = new Map<S, Set<string>>(
    states.map((state) => [state, new Set(Object.values(table[state]).flat() as string[])]),
  );
  return {
    states,
    isTerminal: (state) => targets.get(state)?.size === 0,
    canMove: (from, to) => targets.get(from)?.has(to) ?? false,
    sourcesOf: (to) => states.filter((state) => targets.get(state)?.has(to)),
  };
}
