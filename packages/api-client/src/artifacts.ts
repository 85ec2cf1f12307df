import { type Artifact, listArtifacts } from '@computefabric/protocol/user-api/artifacts';
import { type DownloadOptions, type DownloadTarget, downloadArtifact } from './download-artifact.ts';
import type { CallOptions, Transport } from './transport.ts';

/** Result files. */
export function artifactCalls(transport: Transport) {
  return {
    list: (job: string, options: CallOptions = {}) =>
      transport.call(listArtifacts, { params: { job }, ...options }),
    /**
     * Downloads one file to a path or a stream and checks its hash. A path appears whole or not at all.
     *
     * @throws HashMismatchError when the bytes are not those announced.
     */
    download: (job: string, artifact: Artifact, target: DownloadTarget, options: DownloadOptions = {}) =>
      downloadArtifact(transport, job, artifact, target, options),
  };
}
