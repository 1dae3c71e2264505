import {
  type CallOptions,
  connect,
  pluginVersion,
  type Requester,
  systemClock,
  version,
  ViciConnection,
} from '../vici/index.ts';

/** A charon that is busy with something else must not hold up `dvipa version`. */
const TIMEOUT_MS = 500;

export interface CharonSockets {
  /** charon's own. */
  readonly vici: string;
  /** The plugin's. */
  readonly plugin: string;
}

/** What the running charon says. A part that is not reached in time is undefined. */
export interface CharonVersions {
  readonly strongswan: string | undefined;
  readonly plugin: string | undefined;
}

export async function charonVersions(sockets: CharonSockets): Promise<CharonVersions> {
  const [ofPlugin, ofCharon] = await Promise.all([
    askOver(sockets.plugin, pluginVersion),
    askOver(sockets.vici, version),
  ]);
  return { strongswan: ofPlugin?.daemon ?? ofCharon?.version, plugin: ofPlugin?.plugin };
}

async function askOver<Answer>(
  socket: string,
  command: (requester: Requester, options: CallOptions) => Promise<Answer>,
): Promise<Answer | undefined> {
  try {
    const stream = await connect(socket, AbortSignal.timeout(TIMEOUT_MS));
    const connection = new ViciConnection(stream, { clock: systemClock });
    try {
      return await command(connection, { timeoutMs: TIMEOUT_MS });
    } finally {
      connection.close();
    }
  } catch {
    return undefined;
  }
}
