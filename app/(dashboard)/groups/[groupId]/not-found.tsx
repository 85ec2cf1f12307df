import { SearchX } from 'lucide-react';
import Link from 'next/link';
import { Button } from '@/components/ui/button.tsx';
import { Empty } from '@/components/ui/empty.tsx';

export default function GroupNotFound() {
  return (
    <Empty
      icon={SearchX}
      title="There is no such group in your account"
      titleAs="h1"
      action={
        <Button asChild>
          <Link href="/jobs">All jobs</Link>
        </Button>
      }
    >
      The address may be mistyped, or the group belongs to somebody else.
    </Empty>
  );
}
