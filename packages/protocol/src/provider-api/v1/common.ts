import { z } from 'zod';
import { leaseId } from '../../ids.ts';

/**
 * Every call after hello names the session that hello gave; an older process of the same machine is then
 * refused. Every call about a lease names its fence, the number of that try: a stale one changes nothing.
 */
export const sessionHeader = 'computefabric-session';
export const fenceHeader = 'computefabric-fence';

const counter = z.string().regex(/^\d{1,15}$/, 'must be a whole number');
export const sessionHeaders = z.object({ [sessionHeader]: counter });
export const leaseHeaders = z.object({ [sessionHeader]: counter, [fenceHeader]: counter });

export const leaseParams = z.strictObject({ lease: leaseId });
