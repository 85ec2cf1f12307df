'use client';

import { ChevronDown, ChevronUp, Clock, Download, Search, WrapText } from 'lucide-react';
import type { KeyboardEvent } from 'react';
import type { StreamState } from '@/components/jobs/use-job-stream.ts';
import { Button } from '@/components/ui/button.tsx';
import { cn } from '@/lib/cn.ts';

interface LogToolbarProps {
  streamState: StreamState;
  query: string;
  onQuery: (query: string) => void;
  /** Lines that match, and which of them is current, from 1. */
  matches: number;
  currentMatch: number;
  onStep: (step: 1 | -1) => void;
  wrap: boolean;
  onWrap: (wrap: boolean) => void;
  times: boolean;
  onTimes: (times: boolean) => void;
  downloadUrl: string;
}

export function LogToolbar(props: LogToolbarProps) {
  const { query, onQuery, matches, currentMatch, onStep, wrap, onWrap, times, onTimes } = props;

  function onKeyDown(event: KeyboardEvent) {
    if (event.key === 'Enter') {
      event.preventDefault();
      onStep(event.shiftKey ? -1 : 1);
    }
    if (event.key === 'Escape') onQuery('');
  }

  return (
    <div className="flex flex-wrap items-center gap-2 border-b border-log-border px-3 py-2">
      <StreamStatus state={props.streamState} />
      <div className="order-last flex h-8 w-full items-center gap-1.5 rounded-md border border-log-border bg-log-raised pr-1 pl-2.5 focus-within:outline-2 focus-within:outline-offset-1 focus-within:outline-ansi-cyan sm:order-none sm:ml-auto sm:w-auto">
        <Search aria-hidden className="size-3.5 text-log-muted" />
        <input
          type="search"
          aria-label="Find in the log"
          placeholder="Find"
          value={query}
          onChange={(event) => onQuery(event.target.value)}
          onKeyDown={onKeyDown}
          className="min-w-0 flex-1 bg-transparent text-[0.8125rem] outline-none placeholder:text-log-muted sm:w-36 sm:flex-none [&::-webkit-search-cancel-button]:hidden"
        />
        <span role="status" className="min-w-[4ch] text-right text-xs text-log-muted tabular-nums">
          {query === '' ? '' : matches === 0 ? 'none' : `${currentMatch}/${matches}`}
          {query === '' ? null : <span className="sr-only"> lines match</span>}
        </span>
        <ToolButton label="Previous match" disabled={matches === 0} onClick={() => onStep(-1)} small>
          <ChevronUp aria-hidden />
        </ToolButton>
        <ToolButton label="Next match" disabled={matches === 0} onClick={() => onStep(1)} small>
          <ChevronDown aria-hidden />
        </ToolButton>
      </div>
      <div className="ml-auto flex items-center gap-1 sm:ml-0">
        <ToolButton label="Wrap long lines" pressed={wrap} onClick={() => onWrap(!wrap)}>
          <WrapText aria-hidden />
        </ToolButton>
        <ToolButton label="Show times" pressed={times} onClick={() => onTimes(!times)}>
          <Clock aria-hidden />
        </ToolButton>
        <Button asChild variant="ghost" size="icon-sm" className={toolClasses}>
          <a
            href={props.downloadUrl}
            download
            aria-label="Download the whole log"
            title="Download the whole log"
          >
            <Download aria-hidden />
          </a>
        </Button>
      </div>
    </div>
  );
}

const toolClasses =
  'text-log-muted hover:bg-log-raised hover:text-log-foreground focus-visible:outline-ansi-cyan';

interface ToolButtonProps {
  label: string;
  /** For a switch: whether it is on. */
  pressed?: boolean;
  disabled?: boolean;
  small?: boolean;
  onClick: () => void;
  children: React.ReactNode;
}

function ToolButton({ label, pressed, disabled, small, onClick, children }: ToolButtonProps) {
  return (
    <Button
      variant="ghost"
      size="icon-sm"
      aria-label={label}
      title={label}
      aria-pressed={pressed}
      disabled={disabled}
      onClick={onClick}
      className={cn(toolClasses, small && 'size-6', pressed && 'bg-log-raised text-log-foreground')}
    >
      {children}
    </Button>
  );
}

const statusTexts: Record<StreamState, string> = {
  connecting: 'Connecting',
  live: 'Live',
  reconnecting: 'Reconnecting',
  ended: 'Complete',
};

const statusDots: Record<StreamState, string> = {
  connecting: 'border border-log-muted',
  live: 'bg-ansi-green',
  reconnecting: 'border-2 border-ansi-yellow',
  ended: 'bg-log-muted',
};

function StreamStatus({ state }: { state: StreamState }) {
  return (
    <span role="status" className="flex items-center gap-2 text-xs text-log-muted">
      <span
        aria-hidden
        className={cn('size-2 rounded-full', statusDots[state], state === 'reconnecting' && 'animate-pulse')}
      />
      {statusTexts[state]}
      {state === 'reconnecting' ? (
        <span className="hidden sm:inline">· nothing is lost, it resumes where it stopped</span>
      ) : null}
    </span>
  );
}
