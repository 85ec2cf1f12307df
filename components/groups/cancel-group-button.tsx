'use client';

import { cancelGroup } from '@/actions/cancel-group.ts';
import { ConfirmCancel } from '@/components/shell/confirm-cancel.tsx';

interface CancelGroupButtonProps {
  groupId: string;
  groupName: string;
  isRequested: boolean;
}

export function CancelGroupButton({ groupId, groupName, isRequested }: CancelGroupButtonProps) {
  return (
    <ConfirmCancel
      label="Cancel all"
      question={`Cancel all of ${groupName}?`}
      consequence="Members that run are asked to stop and are billed until they have. Those that wait end at once and cost nothing."
      keepLabel="Keep them"
      isRequested={isRequested}
      cancel={() => cancelGroup(groupId)}
    />
  );
}
