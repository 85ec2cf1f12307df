import { SearchX } from 'lucide-react';
import Link from 'next/link';
import { Button } from '@/components/ui/button.tsx';
import { Empty } from '@/components/ui/empty.tsx';

interface NotFoundPanelProps {
  title: string;
  /** What the address named, with its article: `the job`. */
  what: string;
  /** Where one can go on. */
  href: string;
  link: string;
}

/** For an address below which nothing of the viewer's is. */
export function NotFoundPanel({ title, what, href, link }: NotFoundPanelProps) {
  return (
    <Empty
      icon={SearchX}
      title={title}
      titleAs="h1"
      action={
        <Button asChild>
          <Link href={href}>{link}</Link>
        </Button>
      }
    >
      The address may be mistyped, or {what} belongs to somebody else.
    </Empty>
  );
}
