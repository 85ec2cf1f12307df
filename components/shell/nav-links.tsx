'use client';

import Link from 'next/link';
import { usePathname } from 'next/navigation';
import { isWithin, navigation } from '@/components/shell/navigation.ts';
import { cn } from '@/lib/cn.ts';

/** The groups of links, with the current page marked by a bar, by colour and for screen readers. */
export function NavLinks({ onNavigate }: { onNavigate?: () => void }) {
  const pathname = usePathname();
  return (
    <nav aria-label="Main" className="flex flex-col gap-6 px-3">
      {navigation.map(({ group, items }) => (
        <div key={group}>
          <p className="eyebrow mb-2 px-3 text-sidebar-muted">{group}</p>
          <ul className="flex flex-col gap-0.5">
            {items.map(({ href, label, icon: Icon }) => {
              const current = isWithin(pathname, href);
              return (
                <li key={href}>
                  <Link
                    href={href}
                    onClick={onNavigate}
                    aria-current={current ? 'page' : undefined}
                    className={cn(
                      'relative flex h-9 items-center gap-3 rounded-md px-3 text-sm font-medium text-sidebar-foreground transition-colors hover:bg-sidebar-active focus-visible:outline-sidebar-mark',
                      current &&
                        'bg-sidebar-active text-sidebar-active-foreground before:absolute before:inset-y-2 before:left-0 before:w-[3px] before:rounded-full before:bg-sidebar-mark',
                    )}
                  >
                    <Icon aria-hidden className={cn('size-4', current && 'text-sidebar-mark')} />
                    {label}
                  </Link>
                </li>
              );
            })}
          </ul>
        </div>
      ))}
    </nav>
  );
}
