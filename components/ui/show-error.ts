'use client';

/** Tells of something that just failed, in a notice that goes by itself. */
export async function showError(message: string): Promise<void> {
  const { toast } = await import('sonner');
  toast.error(message);
}
