import { NotFoundPanel } from '@/components/shell/not-found-panel.tsx';

export default function JobNotFound() {
  return (
    <NotFoundPanel title="There is no such job in your account" what="the job" href="/jobs" link="All jobs" />
  );
}
