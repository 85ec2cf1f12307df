import { invariant } from '@computefabric/runtime/invariant';
import type { BoundRoute } from './define-route.ts';

/** What is at a path: its routes by method, and the path's parameters, still as they stand in the address. */
export interface FoundPath {
  methods: ReadonlyMap<string, BoundRoute>;
  params: Record<string, string>;
}

interface Branch {
  literals: Map<string, Branch>;
  /** Where the next segment is a parameter. */
  parameter: Branch | null;
  /** What is here, when a path ends here, and the names of the parameters on the way. */
  end: { methods: Map<string, BoundRoute>; names: readonly string[] } | null;
}

/**
 * The routes of all contracts by path, looked up segment by segment: asking a hundred patterns in turn costs more
 * than most of what machines ask. Case and trailing slashes count; a literal segment goes before a parameter.
 */
export class RouteTable {
  readonly #root: Branch = newBranch();

  constructor(routes: readonly BoundRoute[]) {
    for (const bound of routes) {
      let branch = this.#root;
      const names: string[] = [];
      for (const segment of bound.contract.path.split('/').slice(1)) {
        const name = /^\{(\w+)\}$/.exec(segment)?.[1];
        if (name !== undefined) names.push(name);
        branch = name === undefined ? literalBranch(branch, segment) : parameterBranch(branch);
      }
      branch.end ??= { methods: new Map(), names };
      invariant(
        branch.end.names.join() === names.join(),
        `one address, one set of names: ${bound.contract.path}`,
      );
      branch.end.methods.set(bound.contract.method, bound);
    }
  }

  /**
   * What is at this path; null when there is nothing.
   *
   * @throws URIError for a parameter with a broken percent sign
   */
  find(path: string): FoundPath | null {
    if (!path.startsWith('/')) return null;
    const values: string[] = [];
    const end = endOf(this.#root, path.split('/'), 1, values)?.end;
    if (!end) return null;
    const params: Record<string, string> = {};
    for (const [index, name] of end.names.entries()) params[name] = decodeURIComponent(values[index] ?? '');
    return { methods: end.methods, params };
  }
}

function endOf(branch: Branch, segments: readonly string[], at: number, values: string[]): Branch | null {
  const segment = segments[at];
  if (segment === undefined) return branch.end ? branch : null;
  const literal = branch.literals.get(segment);
  const found = literal ? endOf(literal, segments, at + 1, values) : null;
  if (found || !branch.parameter || segment === '') return found;
  values.push(segment);
  const behind = endOf(branch.parameter, segments, at + 1, values);
  if (!behind) values.pop();
  return behind;
}

function newBranch(): Branch {
  return { literals: new Map(), parameter: null, end: null };
}

function literalBranch(branch: Branch, segment: string): Branch {
  const known = branch.literals.get(segment) ?? newBranch();
  branch.literals.set(segment, known);
  return known;
}

function parameterBranch(branch: Branch): Branch {
  branch.parameter ??= newBranch();
  return branch.parameter;
}
