'use client';

import { type KeyboardEvent, type ReactNode, useId, useRef, useState } from 'react';
import { cn } from '@/lib/cn.ts';

interface TabsProps {
  /** What the tabs are about, for screen readers. */
  label: string;
  tabs: { key: string; title: string; content: ReactNode }[];
}

/**
 * Tabs by the ARIA pattern: one stop of the Tab key, arrows, Home and End move between them. Written here
 * because the ready-made ones render style attributes on the server, which our content policy refuses.
 */
export function Tabs({ label, tabs }: TabsProps) {
  const [current, setCurrent] = useState(tabs[0]?.key);
  const list = useRef<HTMLDivElement>(null);
  const id = useId();

  function onKeyDown(event: KeyboardEvent) {
    const at = tabs.findIndex((tab) => tab.key === current);
    const next = neighbour(event.key, at, tabs.length);
    const tab = next === null ? undefined : tabs[next];
    if (next === null || !tab) return;
    event.preventDefault();
    setCurrent(tab.key);
    list.current?.querySelectorAll<HTMLElement>('[role=tab]')[next]?.focus();
  }

  return (
    <div data-slot="tabs">
      <div
        ref={list}
        role="tablist"
        aria-label={label}
        onKeyDown={onKeyDown}
        className="flex gap-1 overflow-x-auto border-b px-2 sm:px-3"
      >
        {tabs.map(({ key, title }) => (
          <button
            key={key}
            type="button"
            role="tab"
            id={`${id}-${key}`}
            aria-selected={key === current}
            aria-controls={`${id}-${key}-panel`}
            tabIndex={key === current ? 0 : -1}
            onClick={() => setCurrent(key)}
            className={cn(
              '-mb-px h-11 border-b-2 border-transparent px-3 text-sm font-medium whitespace-nowrap text-muted-foreground -outline-offset-4 transition-colors hover:text-foreground',
              key === current && 'border-primary text-foreground',
            )}
          >
            {title}
          </button>
        ))}
      </div>
      {tabs.map(({ key, content }) => (
        <div
          key={key}
          role="tabpanel"
          id={`${id}-${key}-panel`}
          aria-labelledby={`${id}-${key}`}
          hidden={key !== current}
        >
          {content}
        </div>
      ))}
    </div>
  );
}

/** The tab that a key leads to, round and round; null for keys that move nothing. */
function neighbour(key: string, at: number, count: number): number | null {
  switch (key) {
    case 'ArrowRight':
      return (at + 1) % count;
    case 'ArrowLeft':
      return (at - 1 + count) % count;
    case 'Home':
      return 0;
    case 'End':
      return count - 1;
    default:
      return null;
  }
}
