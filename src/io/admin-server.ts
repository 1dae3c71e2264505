import { chmodSync, lstatSync, mkdirSync, statSync, unlinkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import {
  type AdminAnswer,
  type AdminArguments,
  encodeLine,
  IDLE_TIMEOUT_MS,
  LineSplitter,
  MAX_CLIENTS,
  MAX_REQUEST_BYTES,
  parseRequest,
} from './admin-protocol.ts';
import { isAgentListening } from './admin-probe.ts';

/**
 * One function per command; what it returns (or resolves to) is the answer, what it throws the error text. An
 * AsyncIterable is a stream of items: it is asked for the next one when the client has room, and `return`ed when the
 * client has gone. Its own bound is its own matter.
 */
export type AdminCommands = Readonly<Record<string, (args: AdminArguments) => unknown>>;

export interface AdminServer {
  /** Closes the socket, its clients and the file. Twice is harmless. */
  close(): Promise<void>;
}

/**
 * Serves an agent's admin commands on an AF_UNIX socket that only its owner may use (mode 0600, in a folder that
 * nobody else may write). A socket file left by a dead agent is replaced; rejects if a live one answers there.
 */
export async function startAdminServer(path: string, commands: AdminCommands): Promise<AdminServer> {
  prepareFolder(dirname(path));
  await removeStaleSocket(path);
  const handlers = new Map(Object.entries(commands));
  const clients = new Set<Socket>();
  let served = 0;
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.setTimeout(IDLE_TIMEOUT_MS, () => socket.destroy());
    clients.add(socket);
    socket.on('close', () => clients.delete(socket));
    if (served < MAX_CLIENTS) {
      served++;
      socket.on('close', () => served--);
      serve(socket, handlers);
    } else {
      // Said when asked, not at once: a client that is still writing would see a broken pipe instead.
      const busy = encodeLine({ ok: false, error: `busy: ${MAX_CLIENTS} clients already` });
      socket.once('data', () => socket.end(busy));
    }
  });
  server.maxConnections = 2 * MAX_CLIENTS;
  await listen(server, path);
  let closed: Promise<void> | undefined;
  return {
    close() {
      closed ??= new Promise((resolve) => {
        server.close(() => resolve());
        for (const client of clients) client.destroy();
      });
      return closed;
    },
  };
}

type Handlers = ReadonlyMap<string, (args: AdminArguments) => unknown>;

function serve(socket: Socket, handlers: Handlers): void {
  const lines = new LineSplitter(MAX_REQUEST_BYTES);
  // Answers keep the order of the requests, and a handler never runs twice at once for one client.
  let queue = Promise.resolve();
  socket.on('data', (chunk: Buffer) => {
    for (const line of lines.push(chunk)) {
      socket.pause();
      queue = queue.then(async () => {
        const reply = await answer(line, handlers);
        if (reply.ok && 'answer' in reply && isStream(reply.answer)) await stream(socket, reply.answer);
        else send(socket, reply);
        socket.resume();
      });
    }
    if (!lines.isOverflown) return;
    socket.pause();
    socket.end(
      encodeLine({ ok: false, error: `request too large, expected at most ${MAX_REQUEST_BYTES} bytes` }),
    );
  });
}

function send(socket: Socket, reply: AdminAnswer): boolean {
  return socket.destroyed || socket.write(encodeLine(reply));
}

function isStream(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

async function stream(socket: Socket, items: AsyncIterable<unknown>): Promise<void> {
  socket.setTimeout(0);
  const iterator = items[Symbol.asyncIterator]();
  const gone = new Promise<undefined>((resolve) => socket.once('close', () => resolve(undefined)));
  // A paused socket does not tell that its client has gone.
  socket.resume();
  try {
    while (!socket.destroyed) {
      const next = await Promise.race([iterator.next(), gone]);
      if (next === undefined) break;
      if (next.done === true) {
        send(socket, { ok: true, end: true });
        break;
      }
      if (!send(socket, { ok: true, item: next.value })) await Promise.race([drained(socket), gone]);
    }
  } catch (cause) {
    send(socket, { ok: false, error: messageOf(cause) });
  } finally {
    // Not waited for: a generator that waits for its next item returns only after it.
    iterator.return?.()?.catch(() => {});
    socket.setTimeout(IDLE_TIMEOUT_MS);
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('drain', resolve));
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : 'failed';
}

async function answer(line: string, handlers: Handlers): Promise<AdminAnswer> {
  const request = parseRequest(line);
  if (request === undefined)
    return { ok: false, error: 'not a request, expected {"command": ..., "args": {...}}' };
  const handler = handlers.get(request.command);
  if (handler === undefined) {
    return { ok: false, error: `unknown command, expected one of ${[...handlers.keys()].join(', ')}` };
  }
  try {
    return { ok: true, answer: (await handler(request.args)) ?? null };
  } catch (cause) {
    return { ok: false, error: messageOf(cause) };
  }
}

function prepareFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { mode } = statSync(folder);
  const isSticky = (mode & 0o1000) !== 0;
  if ((mode & 0o022) !== 0 && !isSticky) {
    throw new Error(`admin socket: ${folder} may be written by others, expected mode 0700`);
  }
}

async function removeStaleSocket(path: string): Promise<void> {
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (status === undefined) return;
  if (!status.isSocket()) throw new Error(`admin socket: ${path} exists and is not a socket`);
  if (await isAgentListening(path)) throw new Error(`admin socket: another agent is running on ${path}`);
  unlinkSync(path);
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code === 'EADDRINUSE' ? 'another agent has just taken it' : error.message;
      reject(new Error(`admin socket: ${path}: ${reason}`, { cause: error }));
    });
    // Node binds inside of listen(): at no moment does the file exist with a wider mode.
    const before = process.umask(0o177);
    try {
      server.listen({ path, backlog: 16 }, () => {
        chmodSync(path, 0o600);
        resolve();
      });
    } finally {
      process.umask(before);
    }
  });
}
