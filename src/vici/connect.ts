import net from 'node:net';
import { systemClock } from '../base/clock.ts';
import { ViciError } from './error.ts';
import { type SessionOptions, ViciSession } from './session.ts';
import type { ByteSink, ByteStream } from './stream.ts';

const READ_BYTES = 64 * 1024;
/** The stock socket of charon on Debian. */
export const DEFAULT_URI = 'unix:///run/charon.vici';

/**
 * Opens a socket to a daemon. `uri`: `unix:///path`, a plain path, or `tcp://host:port` (no authentication
 * and no secrecy: loopback only). The only place of this folder that opens one.
 * Rejects with ViciError `disconnected` (nobody listens, no permission), `invalid` (no such form of address) or `aborted`.
 */
export function connect(uri: string = DEFAULT_URI, signal?: AbortSignal): Promise<ByteStream> {
  return new Promise((resolve, reject) => {
    const address = parseUri(uri);
    if (signal?.aborted === true)
      throw new ViciError('aborted', 'connect: aborted', { cause: signal.reason });
    let sink: ByteSink | undefined;
    const bytes = (count: number, buffer: Uint8Array) => {
      sink?.bytes(buffer.subarray(0, count));
      return true; // go on reading
    };
    // One buffer for all reads: a new one for each message of a few hundred bytes is work for the collector of garbage.
    const onread = { buffer: Buffer.allocUnsafeSlow(READ_BYTES), callback: bytes };
    const socket = net.connect({ ...address, onread });
    socket.pause(); // until there is a sink
    const settle = (error?: ViciError) => {
      signal?.removeEventListener('abort', onAbort);
      socket.removeListener('connect', onConnect);
      socket.removeListener('error', onError);
      if (error === undefined) return resolve(streamOf(socket, (to) => (sink = to)));
      socket.on('error', () => undefined); // whatever else it says while it dies
      socket.destroy();
      reject(error);
    };
    const onAbort = () => settle(new ViciError('aborted', 'connect: aborted', { cause: signal?.reason }));
    const onConnect = () => settle();
    const onError = (cause: Error) =>
      settle(new ViciError('disconnected', `cannot connect to ${uri}`, { cause }));
    signal?.addEventListener('abort', onAbort);
    socket.once('connect', onConnect);
    socket.once('error', onError);
  });
}

function parseUri(uri: string): net.NetConnectOpts {
  const path = uri.startsWith('unix://') ? uri.slice('unix://'.length) : uri;
  if (path.startsWith('/')) return { path };
  const tcp = /^tcp:\/\/(?:\[(?<v6>[0-9a-fA-F:.]+)\]|(?<host>[^:/[\]]+)):(?<port>\d{1,5})$/.exec(uri)?.groups;
  const host = tcp?.['v6'] ?? tcp?.['host'];
  const port = Number(tcp?.['port']);
  if (host === undefined || port === 0 || port > 65535) {
    throw new ViciError('invalid', `not a VICI address: ${uri} (expected unix:///path or tcp://host:port)`);
  }
  return { host, port };
}

function streamOf(socket: net.Socket, receiveBy: (sink: ByteSink) => void): ByteStream {
  let failure: Error | undefined;
  socket.on('error', (error) => (failure = error));
  return {
    start(sink: ByteSink) {
      socket.on('close', () => sink.closed(failure));
      receiveBy(sink);
      socket.resume();
      if (socket.destroyed) sink.closed(failure);
    },
    write(bytes) {
      if (!socket.destroyed) socket.write(bytes);
    },
    close() {
      socket.destroy();
    },
  };
}

/**
 * A session on a socket of this machine, with the machine's clock: started, and connected when the promise
 * resolves. The first attempt must succeed, else it rejects with the reason and nothing is left open.
 *
 * @example
 *     const session = await openSession('unix:///run/charon.vici', { onDisconnected: (why) => log(why) });
 *     for (const ike of await listSas(session)) console.log(ike.name, ike.state);
 *     session.close();
 */
export function openSession(
  uri: string = DEFAULT_URI,
  options: Partial<Omit<SessionOptions, 'open'>> = {},
): Promise<ViciSession> {
  return new Promise((resolve, reject) => {
    let isFirst = true;
    const session: ViciSession = new ViciSession({
      clock: systemClock,
      random: Math.random,
      ...options,
      open: (signal) => connect(uri, signal),
      onConnected() {
        isFirst = false;
        resolve(session);
        options.onConnected?.();
      },
      onDisconnected(reason, retryInMs) {
        if (!isFirst) return options.onDisconnected?.(reason, retryInMs);
        session.close();
        reject(reason);
      },
    });
    session.start();
  });
}
