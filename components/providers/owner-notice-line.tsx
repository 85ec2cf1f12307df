import { type OwnerNotice, whyNoWork } from '@computefabric/protocol/owner-state';
import { LocalTime } from '@/components/shell/local-time.tsx';

/** Why the owner's own rules give a machine no work now, as far as its agent tells; nothing while they do. */
export function OwnerNoticeLine({ notice }: { notice: OwnerNotice | null }) {
  const why = whyNoWork(notice);
  if (why === null) return null;
  return (
    <p className="mt-1 text-[0.8125rem] text-muted-foreground">
      Takes no new work now. {why}
      {notice?.until ? (
        <>
          {' '}
          Until <LocalTime at={new Date(notice.until)} />, as far as is known.
        </>
      ) : null}
    </p>
  );
}
