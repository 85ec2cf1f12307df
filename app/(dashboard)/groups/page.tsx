import { redirect } from 'next/navigation';

/** Groups stand above the list of jobs. */
export default function GroupsPage(): never {
  redirect('/jobs');
}
