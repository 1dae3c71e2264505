import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FrameReader } from '../../src/vici/framing.ts';
import { type ViciFields, ViciMessage } from '../../src/vici/message.ts';
import { decodePacket, encodePacket, type ViciPacket } from '../../src/vici/packet.ts';

type Reply = ViciFields | ViciMessage | undefined;

/** Answers one command: a reply, `undefined` for none (yet), or whatever it sends itself over `client`. */
export type CommandHandler = (
  request: ViciMessage,
  client: FakeClient,
) => Reply | void | Promise<Reply | void>;

/** One client of the fake, as the fake sees it. */
export class FakeClient {
  readonly events = new Set<string>();
  readonly #socket: net.Socket;

  constructor(socket: net.Socket) {
    this.#socket = socket;
  }

  send(packet: ViciPacket): void {
    this.sendBytes(encodePacket(packet));
  }

  sendBytes(bytes: Uint8Array): void {
    if (!this.#socket.destroyed) this.#socket.write(bytes);
  }

  /** Sends an event, whether the client registered for it or not. */
  event(name: string, message: ViciFields | ViciMessage): void {
    this.send({ type: 'event', name, message: asMessage(message) });
  }

  reply(message: ViciFields | ViciMessage): void {
    this.send({ type: 'command-response', message: asMessage(message) });
  }

  /** Ends the connection after what was written. */
  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/**
 * A daemon that speaks VICI on a real unix socket and does as it is told. `log` holds what clients asked, as
 * `command name`, `register name`, `unregister name`.
 */
export class FakeCharon {
  readonly uri: string;
  readonly log: string[] = [];
  readonly clients = new Set<FakeClient>();
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'fake-charon-'));
  readonly #commands = new Map<string, CommandHandler>();
  readonly #events = new Set<string>();
  #server: net.Server | undefined;

  constructor() {
    this.uri = `unix://${this.#folder}/vici`;
  }

  /** Defines or replaces a command; any other name is unknown. */
  on(command: string, handler: CommandHandler): this {
    this.#commands.set(command, handler);
    return this;
  }

  /** Defines event names that can be registered for. */
  knows(...events: string[]): this {
    for (const event of events) this.#events.add(event);
    return this;
  }

  async start(): Promise<this> {
    const server = net.createServer((socket) => this.#serve(socket));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.uri.slice('unix://'.length), resolve);
    });
    return this;
  }

  /** As if the process ended: every connection dies, nobody listens. `start` brings it back. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const client of this.clients) client.destroy();
    if (server !== undefined) await new Promise((resolve) => server.close(resolve));
  }

  /** `stop`, and the folder of the socket is removed. */
  async destroy(): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Sends an event to every client that registered for it; returns how many. */
  raise(event: string, message: ViciFields | ViciMessage): number {
    const listeners = [...this.clients].filter((client) => client.events.has(event));
    for (const client of listeners) client.event(event, message);
    return listeners.length;
  }

  #serve(socket: net.Socket): void {
    const client = new FakeClient(socket);
    const frames = new FrameReader();
    this.clients.add(client);
    socket.on('error', () => undefined);
    socket.on('close', () => this.clients.delete(client));
    socket.on('data', (chunk) => {
      for (const frame of frames.push(chunk)) void this.#answer(decodePacket(frame), client);
    });
  }

  async #answer(packet: ViciPacket, client: FakeClient): Promise<void> {
    switch (packet.type) {
      case 'command-request': {
        this.log.push(`command ${packet.name}`);
        const handler = this.#commands.get(packet.name);
        if (handler === undefined) return client.send({ type: 'command-unknown' });
        const reply = await handler(packet.message, client);
        if (typeof reply === 'object') client.reply(reply);
        return;
      }
      case 'event-register':
      case 'event-unregister': {
        const isRegistering = packet.type === 'event-register';
        this.log.push(`${isRegistering ? 'register' : 'unregister'} ${packet.name}`);
        if (!this.#events.has(packet.name)) return client.send({ type: 'event-unknown' });
        if (isRegistering) client.events.add(packet.name);
        else client.events.delete(packet.name);
        return client.send({ type: 'event-confirm' });
      }
      default:
        return client.destroy();
    }
  }
}

function asMessage(message: ViciFields | ViciMessage): ViciMessage {
  return message instanceof ViciMessage ? message : ViciMessage.of(message);
}
