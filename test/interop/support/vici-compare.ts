import type { CallOptions } from '../../../src/vici/call.ts';
import type { Requester } from '../../../src/vici/connection.ts';
import { formatRaw, type ViciMessage } from '../../../src/vici/index.ts';

/** Passes commands on and keeps what came back, to be printed as `swanctl --raw` would have. */
export class Overheard implements Requester {
  /** Every command asked so far. */
  readonly commands = new Set<string>();
  readonly #requester: Requester;
  #events: [string, ViciMessage][] = [];
  #reply: ViciMessage | undefined;

  constructor(requester: Requester) {
    this.#requester = requester;
  }

  async request(command: string, message?: ViciMessage, options?: CallOptions): Promise<ViciMessage> {
    this.commands.add(command);
    this.#events = [];
    return (this.#reply = await this.#requester.request(command, message, options));
  }

  async requestStream(
    command: string,
    events: readonly string[],
    onEvent: (message: ViciMessage, event: string) => void,
    message?: ViciMessage,
    options?: CallOptions,
  ): Promise<ViciMessage> {
    this.commands.add(command);
    this.#events = [];
    const take = (event: ViciMessage, name: string) => {
      this.#events.push([name, event]);
      onEvent(event, name);
    };
    return (this.#reply = await this.#requester.requestStream(command, events, take, message, options));
  }

  /** The last answer. Labels are swanctl's own, which do not always have the names of the wire. */
  printed(replyLabel: string, eventLabel?: string): string {
    const events = this.#events.map(([name, message]) => formatRaw(message, eventLabel ?? `${name} event`));
    return events.join('') + (this.#reply === undefined ? '' : formatRaw(this.#reply, replyLabel));
  }
}

/** The values of keys that change from one moment to the next, as `...`. */
export function masked(text: string, keys: readonly string[]): string {
  return text.replaceAll(new RegExp(`\\b(${keys.join('|')})=[0-9]+`, 'g'), '$1=...');
}
