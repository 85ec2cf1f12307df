'use client';

import { showError } from '@/components/ui/show-error.ts';

type Page = { kind: 'page'; url: string } | { kind: 'refused'; message: string };

/**
 * Leaves for a page of the payment provider, or says why not. The address comes from the market; all the same only
 * pages are gone to, never a script.
 *
 * @returns whether the browser is on its way
 */
export async function openPage(page: Page): Promise<boolean> {
  if (page.kind === 'refused') {
    await showError(page.message);
    return false;
  }
  const { protocol } = new URL(page.url);
  if (protocol !== 'https:' && protocol !== 'http:') throw new TypeError(`not a page: ${protocol}`);
  window.location.assign(page.url);
  return true;
}
