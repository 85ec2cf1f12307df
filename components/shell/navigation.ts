import { Banknote, CalendarClock, Gauge, Layers, type LucideIcon, Server, Wallet } from 'lucide-react';

export interface NavigationItem {
  href: string;
  label: string;
  icon: LucideIcon;
}

/** The pages, by what a person comes to do: use the market, provide machines to it, or pay. */
export const navigation: { group: string; items: NavigationItem[] }[] = [
  {
    group: 'Use',
    items: [
      { href: '/dashboard', label: 'Overview', icon: Gauge },
      { href: '/jobs', label: 'Jobs', icon: Layers },
      { href: '/schedules', label: 'Schedules', icon: CalendarClock },
    ],
  },
  {
    group: 'Provide',
    items: [
      { href: '/gpu-owners', label: 'GPU owners', icon: Server },
      { href: '/earnings', label: 'Earnings', icon: Banknote },
    ],
  },
  { group: 'Account', items: [{ href: '/billing', label: 'Billing', icon: Wallet }] },
];

/** Whether a page belongs under a navigation item: the page itself or one below it. */
export function isWithin(pathname: string, href: string): boolean {
  return pathname === href || pathname.startsWith(`${href}/`);
}
