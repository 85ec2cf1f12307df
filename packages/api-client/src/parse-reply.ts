import { z } from 'zod';
import { UnexpectedReplyError } from './errors.ts';

/**
 * Checks a reply against its contract. Fields that this version does not know are left out, also inside
 * schemas that are strict for requests, because a newer server may add some.
 *
 * @throws UnexpectedReplyError naming the first field that is wrong.
 */
export function parseReply<R extends z.ZodType>(
  schema: R | undefined,
  value: unknown,
  url: string,
  status: number,
): z.output<R> {
  const effective: z.ZodType = schema ?? z.undefined();
  let parsed = effective.safeParse(value);
  if (!parsed.success && parsed.error.issues.every((issue) => issue.code === 'unrecognized_keys')) {
    parsed = effective.safeParse(withoutUnknownKeys(value, parsed.error.issues));
  }
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const where = issue?.path.join('.') || 'the whole';
    throw new UnexpectedReplyError(
      url,
      status,
      `gave an answer that this version does not understand (${where}: ${issue?.message ?? 'not valid'})`,
    );
  }
  return parsed.data as z.output<R>;
}

function withoutUnknownKeys(value: unknown, issues: z.core.$ZodIssue[]): unknown {
  const copy: unknown = structuredClone(value);
  for (const issue of issues) {
    if (issue.code !== 'unrecognized_keys') continue;
    let holder = copy;
    for (const step of issue.path) holder = isRecord(holder) ? holder[String(step)] : undefined;
    if (isRecord(holder)) for (const key of issue.keys) delete holder[key];
  }
  return copy;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
