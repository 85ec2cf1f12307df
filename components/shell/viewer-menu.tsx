'use client';

import { LogOut, UserRound } from 'lucide-react';
import { Button } from '@/components/ui/button.tsx';
import {
  DropdownMenu,
  DropdownMenuContent,
  DropdownMenuItem,
  DropdownMenuLabel,
  DropdownMenuSeparator,
  DropdownMenuTrigger,
} from '@/components/ui/dropdown-menu.tsx';
import type { Viewer } from '@/types/market-view.ts';

interface ViewerMenuProps {
  viewer: Viewer;
  signOut: () => Promise<void>;
}

/** Who is signed in. The local operator cannot sign out: being on this machine is what signs them in. */
export function ViewerMenu({ viewer, signOut }: ViewerMenuProps) {
  return (
    <DropdownMenu>
      <DropdownMenuTrigger asChild>
        <Button variant="ghost" size="icon" aria-label={`Account: ${viewer.name}`} title={viewer.name}>
          <UserRound aria-hidden />
        </Button>
      </DropdownMenuTrigger>
      <DropdownMenuContent align="end" className="w-60">
        <DropdownMenuLabel>
          <span className="block truncate text-sm font-medium text-foreground">{viewer.name}</span>
          <span className="block truncate">
            {viewer.isLocalOperator ? 'Signed in by being on this machine' : viewer.email}
          </span>
        </DropdownMenuLabel>
        {viewer.isLocalOperator ? null : (
          <>
            <DropdownMenuSeparator />
            <DropdownMenuItem onSelect={() => void signOut()}>
              <LogOut aria-hidden /> Sign out
            </DropdownMenuItem>
          </>
        )}
      </DropdownMenuContent>
    </DropdownMenu>
  );
}
