'use client';

import { Search, X } from 'lucide-react';
import Link from 'next/link';
import { useRouter } from 'next/navigation';
import { type FormEvent, useEffect, useRef, useState, useTransition } from 'react';
import { Button } from '@/components/ui/button.tsx';
import { Input } from '@/components/ui/input.tsx';
import { cn } from '@/lib/cn.ts';
import { jobFilters, jobListHref, type JobListRequest } from '@/lib/job-filter.ts';

/** Typing pauses this long before the list follows. */
const searchDelayMs = 300;

/** Search and state chips. What they say is in the address, so that a view can be kept and sent. */
export function JobFilters({ request }: { request: JobListRequest }) {
  const router = useRouter();
  const [pending, startTransition] = useTransition();
  const [search, setSearch] = useState(request.search);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);

  function goTo(text: string) {
    clearTimeout(timer.current);
    startTransition(() =>
      router.replace(jobListHref({ filter: request.filter, search: text.trim() }), { scroll: false }),
    );
  }

  function onSubmit(event: FormEvent) {
    event.preventDefault();
    goTo(search);
  }

  function change(text: string, delayMs: number) {
    setSearch(text);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => goTo(text), delayMs);
  }

  return (
    <div className="mb-4 flex flex-wrap items-center gap-x-4 gap-y-3">
      <search className="w-full sm:w-72">
        <form onSubmit={onSubmit} className="relative">
          <Search
            aria-hidden
            className={cn(
              'pointer-events-none absolute top-1/2 left-3 size-4 -translate-y-1/2 text-muted-foreground',
              pending && 'animate-pulse',
            )}
          />
          <Input
            type="search"
            name="q"
            aria-label="Search jobs by name, id or image"
            placeholder="Name, id or image"
            maxLength={128}
            value={search}
            onChange={(event) => change(event.target.value, searchDelayMs)}
            className="px-9 [&::-webkit-search-cancel-button]:hidden"
          />
          {search === '' ? null : (
            <Button
              variant="ghost"
              size="icon-sm"
              aria-label="Clear search"
              className="absolute top-0.5 right-0.5"
              onClick={() => change('', 0)}
            >
              <X aria-hidden />
            </Button>
          )}
        </form>
      </search>
      <nav aria-label="Filter by state" className="flex flex-wrap gap-1.5">
        <Chip href={jobListHref({ search: request.search })} current={request.filter === null}>
          All
        </Chip>
        {jobFilters.map((filter) => (
          <Chip
            key={filter.key}
            href={jobListHref({ filter: filter.key, search: request.search })}
            current={request.filter === filter.key}
          >
            {filter.label}
          </Chip>
        ))}
      </nav>
    </div>
  );
}

function Chip({ href, current, children }: { href: string; current: boolean; children: string }) {
  return (
    <Link
      href={href}
      scroll={false}
      aria-current={current ? 'true' : undefined}
      className={cn(
        'flex h-8 items-center rounded-full border px-3.5 text-[0.8125rem] font-medium transition-colors',
        current
          ? 'border-primary bg-primary text-primary-foreground'
          : 'bg-card text-muted-foreground hover:bg-accent hover:text-accent-foreground',
      )}
    >
      {children}
    </Link>
  );
}
