import { fileURLToPath } from 'node:url';

/** Absolute path of the repository root, without a trailing slash. */
export const rootDir = fileURLToPath(new URL('../..', import.meta.url)).replace(/[\\/]$/, '');

/**
 * Locks and caches that belong to the checkout, not to one running copy (two copies with
 * different COMPUTEFABRIC_HOME share node_modules, .next and dist). Ignored by git.
 */
export const checkoutStateDir = `${rootDir}/.computefabric/checkout`;
