import { Compass } from 'lucide-react';
import Link from 'next/link';
import { Button } from '@/components/ui/button.tsx';
import { Empty } from '@/components/ui/empty.tsx';

export const metadata = { title: 'Not found' };

export default function NotFound() {
  return (
    <main id="content" className="mx-auto flex min-h-dvh max-w-xl flex-col justify-center p-6">
      <Empty
        icon={Compass}
        title="There is no such page"
        titleAs="h1"
        action={
          <Button asChild>
            <Link href="/dashboard">Go to the overview</Link>
          </Button>
        }
      >
        The address may be mistyped, or what it named is gone.
      </Empty>
    </main>
  );
}
