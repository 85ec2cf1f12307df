import { NotFoundPanel } from '@/components/shell/not-found-panel.tsx';

export default function GroupNotFound() {
  return (
    <NotFoundPanel
      title="There is no such group in your account"
      what="the group"
      href="/jobs"
      link="All jobs"
    />
  );
}
