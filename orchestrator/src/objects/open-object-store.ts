import { openDiskObjectStore } from './disk-object-store.ts';
import type { ObjectStore } from './object-store.ts';
import { openS3ObjectStore, type S3Settings } from './s3-object-store.ts';

/** The S3 that is configured, or the folder. */
export async function openObjectStore(s3: S3Settings | null, folder: string): Promise<ObjectStore> {
  return s3 ? openS3ObjectStore(s3) : await openDiskObjectStore(folder);
}
