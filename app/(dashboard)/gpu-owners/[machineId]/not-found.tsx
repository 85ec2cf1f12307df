import { SearchX } from 'lucide-react';
import Link from 'next/link';
import { Button } from '@/components/ui/button.tsx';
import { Empty } from '@/components/ui/empty.tsx';

export default function MachineNotFound() {
  return (
    <Empty
      icon={SearchX}
      title="None of your machines is this one"
      titleAs="h1"
      action={
        <Button asChild>
          <Link href="/gpu-owners">Your machines</Link>
        </Button>
      }
    >
      The address may be mistyped, or the machine belongs to somebody else.
    </Empty>
  );
}
