'use client';

import { useCallback, useRef } from 'react';

/**
 * A key for each distinct wish: the same wish gets the same key, so that pressing again after a lost answer cannot do
 * it twice; any change makes it another one, and so does `renew` after it was done. Random bytes, as `randomUUID` is
 * missing on plain http.
 */
export function useIdempotencyKey(): { keyOf: (wish: string) => string; renew: () => void } {
  const made = useRef<{ wish: string; key: string }>(null);
  const keyOf = useCallback((wish: string) => {
    if (made.current?.wish !== wish) {
      const bytes = crypto.getRandomValues(new Uint8Array(16));
      const key = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
      made.current = { wish, key: `form-${key}` };
    }
    return made.current.key;
  }, []);
  const renew = useCallback(() => {
    made.current = null;
  }, []);
  return { keyOf, renew };
}
