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

/** One function per command; what it returns (or resolves to) is the answer, what it throws the error text. */
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
        if (!socket.destroyed) socket.write(encodeLine(reply));
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
    return { ok: false, error: cause instanceof Error ? cause.message : 'failed' };
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
