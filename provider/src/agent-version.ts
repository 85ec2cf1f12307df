import packageFile from '../package.json' with { type: 'json' };

/** The agent's own version, as it announces itself. */
export const agentVersion: string = packageFile.version;
