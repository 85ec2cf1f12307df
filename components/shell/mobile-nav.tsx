'use client';

import { Menu } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { NavLinks } from '@/components/shell/nav-links.tsx';
import { Button } from '@/components/ui/button.tsx';
import { Sheet, SheetContent, SheetTrigger } from '@/components/ui/sheet.tsx';

/** The sidebar of narrow screens: behind a button, closing itself when a page is chosen. */
export function MobileNav({ header, footer }: { header: ReactNode; footer: ReactNode }) {
  const [open, setOpen] = useState(false);
  return (
    <Sheet open={open} onOpenChange={setOpen}>
      <SheetTrigger asChild>
        <Button variant="ghost" size="icon" className="-ml-2 lg:hidden" aria-label="Open menu">
          <Menu aria-hidden />
        </Button>
      </SheetTrigger>
      <SheetContent title="Menu" className="bg-sidebar text-sidebar-foreground">
        {header}
        <NavLinks onNavigate={() => setOpen(false)} />
        {footer}
      </SheetContent>
    </Sheet>
  );
}
