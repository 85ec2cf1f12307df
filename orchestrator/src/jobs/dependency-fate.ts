import { never } from '@computefabric/runtime/invariant';
import type { TargetStanding } from './job-dependencies.store.ts';

/**
 * What has become of a dependency. Of a group, `success` can no longer come as soon as one member ended without
 * it; everything else is known when all members have ended.
 */
export function fateOf(
  target: Pick<TargetStanding, 'condition' | 'total' | 'unfinished' | 'succeeded'>,
): 'open' | 'met' | 'failed' {
  const failed = target.total - target.unfinished - target.succeeded;
  switch (target.condition) {
    case 'success':
      if (failed > 0) return 'failed';
      return target.unfinished > 0 ? 'open' : 'met';
    case 'any':
      return target.unfinished > 0 ? 'open' : 'met';
    case 'failure':
      if (target.unfinished > 0) return 'open';
      return failed > 0 ? 'met' : 'failed';
    default:
      return never(target.condition, 'condition of a dependency');
  }
}

/** The same for people, as a part of a sentence: `train-7k2m must succeed`. */
export function demandOf({ name, condition }: Pick<TargetStanding, 'name' | 'condition'>): string {
  switch (condition) {
    case 'success':
      return `${name} must succeed`;
    case 'any':
      return `${name} must end`;
    case 'failure':
      return `${name} must end without success`;
    default:
      return never(condition, 'condition of a dependency');
  }
}

/** What is still open, as sentences. */
export function waitsFor(targets: readonly TargetStanding[]): string[] {
  return targets
    .filter((target) => target.metAt === null && fateOf(target) === 'open')
    .map((target) => {
      const members =
        target.total === 1 ? '' : `, ${target.total - target.unfinished} of ${target.total} ended`;
      return `${demandOf(target)}; it has not ended yet${members}.`;
    });
}
