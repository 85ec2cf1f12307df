import { NotFoundPanel } from '@/components/shell/not-found-panel.tsx';

export default function MachineNotFound() {
  return (
    <NotFoundPanel
      title="None of your machines is this one"
      what="the machine"
      href="/gpu-owners"
      link="Your machines"
    />
  );
}
