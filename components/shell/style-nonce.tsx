'use client';

import { useEffect } from 'react';

/**
 * Tells the page's nonce to the libraries that add style elements at run time (a dialog locks the scroll
 * that way). The first nonce stays: it is the one of the policy that the browser enforces.
 */
export function StyleNonce({ nonce }: { nonce: string | undefined }) {
  useEffect(() => {
    globalThis.__webpack_nonce__ ??= nonce;
  }, [nonce]);
  return null;
}
