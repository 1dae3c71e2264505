import { createConnection } from 'node:net';

/** True if a living process accepts connections on this socket; false if there is none, or only the file of a dead one. */
export function isAgentListening(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = createConnection(path);
    probe.on('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
      // A full backlog is alive as well.
      else if (error.code === 'EAGAIN') resolve(true);
      else reject(new Error(`admin socket: ${path}: ${error.message}`, { cause: error }));
    });
  });
}
