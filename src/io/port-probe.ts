import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { CommandError, runCommand } from './run-command.ts';

/** `free`, or why an agent could not have it: the errno, and who has it as `ss` names it. */
export type PortState =
  | { readonly state: 'free' }
  | { readonly state: 'refused'; readonly code: string; readonly owner?: string | undefined };

/** Binds a port as the agent would, and lets go of it. */
export async function probePort(protocol: 'tcp' | 'udp', address: string, port: number): Promise<PortState> {
  const code = await (protocol === 'tcp' ? bindTcp(address, port) : bindUdp(address, port));
  if (code === undefined) return { state: 'free' };
  return { state: 'refused', code, owner: code === 'EADDRINUSE' ? await ownerOf(protocol, port) : undefined };
}

function bindTcp(address: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ port, host: address }, () => server.close(() => resolve(undefined)));
  });
}

function bindUdp(address: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4', reuseAddr: false });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      socket.close();
      resolve(error.code ?? error.message);
    });
    socket.bind(port, address, () => socket.close(() => resolve(undefined)));
  });
}

/** `node (pid 4711)`; undefined: nobody that this user may see. */
async function ownerOf(protocol: 'tcp' | 'udp', port: number): Promise<string | undefined> {
  try {
    const text = await runCommand('ss', ['-H', '-n', '-l', '-p', `--${protocol}`, `sport = :${port}`]);
    const match = /users:\(\("([^"]*)",pid=(\d+)/.exec(text);
    return match === null ? undefined : `${match[1]} (pid ${match[2]})`;
  } catch (error) {
    if (error instanceof CommandError) return undefined;
    throw error;
  }
}
