'use client';

import { ArrowDown } from 'lucide-react';
import { useRouter } from 'next/navigation';
import {
  type KeyboardEvent,
  type PointerEvent,
  useDeferredValue,
  useEffect,
  useMemo,
  useRef,
  useState,
  type WheelEvent,
} from 'react';
import { LogLines } from '@/components/jobs/log-lines.tsx';
import { LogToolbar } from '@/components/jobs/log-toolbar.tsx';
import { type StreamState, useJobStream } from '@/components/jobs/use-job-stream.ts';
import { countOf } from '@/lib/format-size.ts';
import type { LogBlock, LogSnapshot } from '@/lib/log-buffer.ts';

/** Nearer to the end than this counts as being at the end. */
const endMarginPx = 32;
/** Events often come in twos and threes (accepted, pulling); one refresh shows them all. */
const refreshDelayMs = 250;
/** How often screen readers hear that lines have arrived. Each line would be noise. */
const announceMs = 5_000;

interface LogViewerProps {
  jobId: string;
  /** Number of the last event that the page shows; later ones make it refresh. */
  shownEventSeq: number;
  /** The page shows the end of the job already. */
  isFinal: boolean;
  /** What to say while there is no output. */
  emptyText: string;
}

/** A job's output, live: follows the end until one scrolls up, can be searched, wrapped and downloaded. */
export function LogViewer({ jobId, shownEventSeq, isFinal, emptyText }: LogViewerProps) {
  const refresh = useDelayedRefresh();
  const { state, snapshot } = useJobStream({
    url: `/api/jobs/${jobId}/stream`,
    onJobEvent: (seq) => {
      if (seq > shownEventSeq) refresh();
    },
    onEnd: () => {
      if (!isFinal) refresh();
    },
  });
  const [wrap, setWrap] = useState(true);
  const [times, setTimes] = useState(false);
  const search = useSearch(snapshot);
  const follow = useFollow(snapshot);
  const announcement = useAnnouncement(snapshot.lineCount + snapshot.droppedLines, state);

  return (
    <section
      aria-label="Output"
      className="overflow-hidden rounded-lg border border-log-border bg-log text-log-foreground"
    >
      <LogToolbar
        streamState={state}
        query={search.query}
        onQuery={search.setQuery}
        matches={search.matches.length}
        currentMatch={search.position + 1}
        onStep={(step) => {
          follow.stop();
          search.step(step);
        }}
        wrap={wrap}
        onWrap={setWrap}
        times={times}
        onTimes={setTimes}
        downloadUrl={`/api/jobs/${jobId}/logs`}
      />
      <div className="relative">
        <div
          ref={follow.box}
          {...follow.gestures}
          role="log"
          // The announcement below speaks instead: reading out every line would drown everything else.
          aria-live="off"
          aria-label="Output of the job"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reachable by keyboard
          tabIndex={0}
          data-wrap={wrap ? 'on' : 'off'}
          data-times={times ? 'on' : 'off'}
          className="group/log max-h-[min(32rem,70dvh)] min-h-40 overflow-auto font-mono text-[0.8125rem] -outline-offset-2 focus-visible:outline-ansi-cyan"
        >
          <div ref={follow.content} className="min-w-fit py-2 group-data-[wrap=on]/log:min-w-0">
            {snapshot.droppedLines > 0 ? (
              <p className="px-3 pb-2 text-log-muted">
                {countOf(snapshot.droppedLines, 'earlier line')} left out to keep this page quick; the
                download has everything.
              </p>
            ) : null}
            {snapshot.blocks.map((block) => (
              <LogLines
                key={block.key}
                block={block}
                query={search.activeQuery}
                currentLine={holds(block.lines, search.currentLine) ? search.currentLine : null}
              />
            ))}
            {snapshot.lineCount === 0 ? (
              <p className="px-4 py-2 text-log-muted">
                {state === 'connecting' ? 'Opening the log…' : emptyText}
              </p>
            ) : null}
          </div>
        </div>
        {follow.following ? null : (
          <button
            type="button"
            onClick={follow.start}
            className="absolute right-4 bottom-4 flex h-8 items-center gap-2 rounded-full bg-log-foreground px-3.5 text-xs font-medium text-log shadow-lg"
          >
            <ArrowDown aria-hidden className="size-3.5" />
            Follow
            {follow.newLines > 0 ? <span className="tabular-nums">· {follow.newLines} new</span> : null}
          </button>
        )}
      </div>
      <p role="status" className="sr-only">
        {announcement}
      </p>
    </section>
  );
}

function holds(lines: LogSnapshot['blocks'][number]['lines'], key: number | null): boolean {
  const [first, last] = [lines[0], lines.at(-1)];
  return key !== null && first !== undefined && last !== undefined && first.key <= key && key <= last.key;
}

/** Refreshes the page's data, once for a burst of calls. */
function useDelayedRefresh(): () => void {
  const router = useRouter();
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  return () => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => router.refresh(), refreshDelayMs);
  };
}

function matchesIn(block: LogBlock, query: string, known: WeakMap<LogBlock, number[]>): number[] {
  const before = known.get(block);
  if (before) return before;
  const keys = block.lines.filter((line) => line.text.toLowerCase().includes(query)).map((line) => line.key);
  known.set(block, keys);
  return keys;
}

/** Lines that hold the query, the current one of them, and stepping from one to the next, round and round. */
function useSearch(snapshot: LogSnapshot) {
  const [query, setQuery] = useState('');
  const [currentLine, setCurrentLine] = useState<number | null>(null);
  const activeQuery = useDeferredValue(query.toLowerCase());
  // Blocks never change once they are full, so each is searched once for a query.
  // Another query starts with an empty memory.
  const known = useMemo(() => new WeakMap<LogBlock, number[]>(), [activeQuery]);
  const matches = useMemo(
    () =>
      activeQuery === '' ? [] : snapshot.blocks.flatMap((block) => matchesIn(block, activeQuery, known)),
    [snapshot, activeQuery, known],
  );
  const position = currentLine === null ? -1 : matches.indexOf(currentLine);

  function step(by: 1 | -1) {
    if (matches.length === 0) return;
    const from = position === -1 ? (by === 1 ? -1 : 0) : position;
    const key = matches[(from + by + matches.length) % matches.length];
    if (key === undefined) return;
    setCurrentLine(key);
  }

  return {
    query,
    setQuery,
    activeQuery,
    matches,
    position,
    currentLine: position === -1 ? null : currentLine,
    step,
  };
}

/** Keeps the end in view until the reader scrolls up; then counts what has arrived since. */
function useFollow(snapshot: LogSnapshot) {
  const box = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const [following, setFollowing] = useState(true);
  const lastTop = useRef(0);
  const total = snapshot.lineCount + snapshot.droppedLines;
  const [seenTotal, setSeenTotal] = useState(0);

  // The end moves with new lines, and also when the browser lays out lines whose height it had guessed.
  useEffect(() => {
    const [element, inner] = [box.current, content.current];
    if (!following || !element || !inner) return;
    const toEnd = () => {
      element.scrollTop = element.scrollHeight;
    };
    toEnd();
    const observer = new ResizeObserver(toEnd);
    observer.observe(inner);
    return () => observer.disconnect();
  }, [following]);

  function onScroll() {
    const element = box.current;
    if (!element) return;
    const movedDown = element.scrollTop > lastTop.current;
    lastTop.current = element.scrollTop;
    const toEnd = element.scrollHeight - element.clientHeight - element.scrollTop;
    if (movedDown && toEnd <= endMarginPx) setFollowing(true);
  }

  function stop() {
    if (!following) return;
    setFollowing(false);
    setSeenTotal(total);
  }

  // The reader's own gestures, not the scroll position: while output pours in, every step up would be undone
  // by the next line before a scroll event could tell of it.
  const gestures = {
    onScroll,
    onWheel: (event: WheelEvent) => {
      if (event.deltaY < 0) stop();
    },
    onTouchMove: stop,
    onPointerDown: (event: PointerEvent) => {
      if (event.target === event.currentTarget) stop(); // the scroll bar
    },
    onKeyDown: (event: KeyboardEvent) => {
      if (upwardKeys.has(event.key)) stop();
    },
  };

  return {
    box,
    content,
    following,
    newLines: total - seenTotal,
    gestures,
    stop,
    start: () => setFollowing(true),
  };
}

const upwardKeys: ReadonlySet<string> = new Set(['ArrowUp', 'PageUp', 'Home']);

/** "38 new lines", at most every few seconds. */
function useAnnouncement(total: number, state: StreamState): string {
  const [text, setText] = useState('');
  const latest = useRef(total);
  useEffect(() => {
    latest.current = total;
  }, [total]);
  const active = state === 'live' || state === 'reconnecting';
  useEffect(() => {
    if (!active) return;
    let announced = latest.current;
    const timer = setInterval(() => {
      const fresh = latest.current - announced;
      announced = latest.current;
      if (fresh > 0) setText(countOf(fresh, 'new line'));
    }, announceMs);
    return () => clearInterval(timer);
  }, [active]);
  return text;
}
