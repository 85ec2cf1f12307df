import { z } from 'zod';

/**
 * - `on-demand` keeps its machine until it ends
 * - `spot` is cheaper where owners give a discount, and gives way, after a notice, to an on-demand job that has
 *   no other place
 */
export const jobClasses = ['on-demand', 'spot'] as const;
export const jobClass = z.enum(jobClasses).meta({ id: 'JobClass' });
export type JobClass = z.infer<typeof jobClass>;
