'use client';

import { useEffect, useRef, useState } from 'react';
import { LogBuffer, type LogSnapshot } from '@/lib/log-buffer.ts';
import { readEventSeq, readLogEntry } from '@/lib/stream-messages.ts';

/**
 * - `connecting`   the first answer is awaited
 * - `live`         connected
 * - `reconnecting` the connection broke; it resumes where it stopped
 * - `ended`        the job is final and everything has been received
 */
export type StreamState = 'connecting' | 'live' | 'reconnecting' | 'ended';

/** After a refusal (the orchestrator restarts, say) the browser gives up, so we try again: 1 s, 2 s, … 15 s. */
const firstRetryMs = 1_000;
const longestRetryMs = 15_000;
/** Time between two pictures of the log while it grows. */
const drawIntervalMs = 100;

interface JobStreamOptions {
  /** Address of the server-sent events; null when there is nothing to receive. */
  url: string;
  /** Something happened to the job that the page does not show yet. */
  onJobEvent: (seq: number) => void;
  /** The job has ended and all of its output is here. */
  onEnd: () => void;
}

/** Receives a job's output and events for as long as the component is mounted. */
export function useJobStream({ url, onJobEvent, onEnd }: JobStreamOptions) {
  const [state, setState] = useState<StreamState>('connecting');
  const [snapshot, setSnapshot] = useState<LogSnapshot>(emptySnapshot);
  // The connection outlives renders; it calls whatever the latest render gave.
  const handlers = useRef({ onJobEvent, onEnd });
  useEffect(() => {
    handlers.current = { onJobEvent, onEnd };
  });

  useEffect(() => {
    const buffer = new LogBuffer();
    let source: EventSource | null = null;
    let retryTimer: ReturnType<typeof setTimeout> | undefined;
    let retryMs = firstRetryMs;
    let lastEventId = '';
    let drawTimer: ReturnType<typeof setTimeout> | undefined;

    // A program may print thousands of lines a second; nobody reads more than a few pictures of it.
    const draw = () => {
      drawTimer ??= setTimeout(() => {
        drawTimer = undefined;
        setSnapshot(buffer.snapshot());
      }, drawIntervalMs);
    };

    const connect = () => {
      const address = lastEventId === '' ? url : `${url}?cursor=${encodeURIComponent(lastEventId)}`;
      source = new EventSource(address);
      source.onopen = () => {
        retryMs = firstRetryMs;
        setState('live');
      };
      source.onerror = () => {
        setState('reconnecting');
        // The browser reconnects by itself after a broken connection, but not after a refusal.
        if (source?.readyState !== EventSource.CLOSED) return;
        retryTimer = setTimeout(connect, retryMs);
        retryMs = Math.min(retryMs * 2, longestRetryMs);
      };
      source.addEventListener('log', (event) => {
        lastEventId = event.lastEventId;
        const entry = readLogEntry(event.data);
        if (entry && buffer.add(entry)) draw();
      });
      source.addEventListener('job', (event) => {
        lastEventId = event.lastEventId;
        const seq = readEventSeq(event.data);
        if (seq !== null) handlers.current.onJobEvent(seq);
      });
      source.addEventListener('end', () => {
        source?.close();
        setState('ended');
        handlers.current.onEnd();
      });
    };

    connect();
    return () => {
      source?.close();
      clearTimeout(retryTimer);
      clearTimeout(drawTimer);
    };
  }, [url]);

  return { state, snapshot };
}

const emptySnapshot: LogSnapshot = { blocks: [], lineCount: 0, droppedLines: 0 };
