import type { z } from 'zod';
import type { World } from './world.ts';

/** What is known of a request beside its parameters. */
export interface Call {
  world: World;
  /** Values of `:name` in the path. */
  path: Record<string, string>;
  /** The connected account that the request acts in, from `Stripe-Account`. */
  account: string | undefined;
}

export interface Endpoint {
  method: 'GET' | 'POST' | 'DELETE';
  /** `/v1/customers/:id` */
  path: string;
  params: z.ZodType;
  answer(params: unknown, call: Call): object;
}

/** One route of the API: its parameters are checked by a strict schema before anything happens. */
export function endpoint<Params extends z.ZodType>(
  method: Endpoint['method'],
  path: string,
  params: Params,
  answer: (params: z.output<Params>, call: Call) => object,
): Endpoint {
  return { method, path, params, answer: (given, call) => answer(given as z.output<Params>, call) };
}

interface Page {
  limit: number;
  starting_after?: string | undefined;
  ending_before?: string | undefined;
}

/** A page of a list, newest first. */
export function listOf<T extends { id: string }>(url: string, all: readonly T[], page: Page) {
  const after =
    page.starting_after === undefined ? 0 : all.findIndex(({ id }) => id === page.starting_after) + 1;
  const end =
    page.ending_before === undefined ? all.length : all.findIndex(({ id }) => id === page.ending_before);
  const rest = all.slice(after, end);
  return { object: 'list', url, data: rest.slice(0, page.limit), has_more: rest.length > page.limit };
}
