import type { LucideIcon } from 'lucide-react';
import { Badge, type BadgeTone } from '@/components/ui/badge.tsx';

/** How one state looks. The word is what people read in the CLI, in mails and here alike. */
export interface StateLook {
  icon: LucideIcon;
  word: string;
  tone: BadgeTone;
  /** The icon turns, for a state in which work goes on that shows no other sign. */
  spins?: boolean;
}

/** A state as icon and word; colour only repeats what they say. */
export function StateBadge({
  look,
  title,
  className,
}: {
  look: StateLook;
  title?: string;
  className?: string;
}) {
  const Icon = look.icon;
  return (
    <Badge tone={look.tone} title={title} className={className}>
      <Icon aria-hidden className={look.spins ? 'animate-[spin_2.4s_linear_infinite]' : undefined} />
      {look.word}
    </Badge>
  );
}
