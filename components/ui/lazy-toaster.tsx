'use client';

import dynamic from 'next/dynamic';

/** The place for short notices, loaded after the page works: most pages never show one. */
export const LazyToaster = dynamic(
  () => import('@/components/ui/toaster.tsx').then((module) => module.Toaster),
  {
    ssr: false,
  },
);
