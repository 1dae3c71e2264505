import type { ViciFields, ViciMessage } from '../../src/vici/message.ts';
import { FakeCharon } from './fake-charon.ts';

export const PLUGIN_INSTANCE = '00c0ffee00c0ffee';

/** An `sa` section as the plugin sends it: inbound AES-GCM-16 with 128 bits, tunnel mode, ESP in UDP. Override at will. */
export function saSection(id: string, override: ViciFields = {}): ViciFields {
  return {
    id,
    spi: 'c0000001',
    direction: 'in',
    src: '192.0.2.101',
    dst: '192.0.2.10',
    sport: 4500,
    dport: 4500,
    reqid: 1,
    group: 1,
    mode: 'tunnel',
    encap: true,
    esn: false,
    'replay-window': 32,
    initiator: false,
    update: true,
    'copy-df': true,
    'copy-ecn': true,
    'copy-dscp': 'out',
    tfc: 0,
    'encr-alg': 20,
    'encr-key': Buffer.from('000102030405060708090a0b0c0d0e0f10111213', 'hex'),
    'integ-alg': 0,
    'src-ts': { 0: selectorSection('10.1.1.1') },
    'dst-ts': { 0: selectorSection('203.0.113.10') },
    'time-soft': 3300,
    'time-hard': 3600,
    'bytes-soft': 0,
    'bytes-hard': 0,
    'packets-soft': 0,
    'packets-hard': 0,
    'age-ms': 12,
    dvipa: '203.0.113.10',
    ...override,
  };
}

export function selectorSection(address: string, override: ViciFields = {}): ViciFields {
  return {
    family: address.includes(':') ? 6 : 4,
    from: address,
    to: address,
    protocol: 0,
    'from-port': 0,
    'to-port': 65535,
    ...override,
  };
}

/** A `policy` section as the plugin sends it. */
export function policySection(id: string, override: ViciFields = {}): ViciFields {
  return {
    id,
    key: 'out 203.0.113.10/32 === 10.1.1.1/32',
    direction: 'out',
    'src-ts': selectorSection('203.0.113.10'),
    'dst-ts': selectorSection('10.1.1.1'),
    src: '192.0.2.10',
    dst: '192.0.2.101',
    reqid: 1,
    group: 1,
    priority: 371327,
    spi: 'c0000002',
    action: 'ipsec',
    ...override,
  };
}

/**
 * The plugin's side of the protocol, with its tables in memory: `sas` and `policies` by id, kept states by SA or
 * DVIPA, and numbered events. `received` holds what the agent sent with `ack`, `acquire`, `counters`, `expire` and
 * `mapping`.
 */
export class FakePlugin {
  readonly charon = new FakeCharon();
  readonly sas = new Map<string, ViciFields>();
  readonly policies = new Map<string, ViciFields>();
  readonly saStates = new Map<string, Buffer>();
  readonly dvipaStates = new Map<string, Buffer>();
  readonly received: { command: string; message: ViciMessage }[] = [];
  instance = PLUGIN_INSTANCE;
  sequence = 0;

  constructor() {
    this.charon
      .knows('list-sa', 'list-policy', 'sa-add', 'sa-update', 'sa-delete', 'policy-add', 'policy-delete')
      .on('version', () => ({ plugin: '0.1.0', daemon: '5.9.8', instance: this.instance, delegates: 'yes' }))
      .on('list', (_, client) => {
        for (const [id, sa] of this.sas)
          client.event('list-sa', { sa: { ...sa, state: this.saStates.get(id) } });
        for (const policy of this.policies.values()) client.event('list-policy', { policy });
        return this.#listReply();
      })
      .on('put', (message) => this.#put(message));
    for (const command of ['ack', 'acquire', 'counters', 'expire', 'mapping']) {
      this.charon.on(command, (message) => {
        this.received.push({ command, message });
        return { success: true };
      });
    }
  }

  get uri(): string {
    return this.charon.uri;
  }

  async start(): Promise<this> {
    await this.charon.start();
    return this;
  }

  /** Adds or replaces the SA and tells it. */
  addSa(sa: ViciFields): void {
    this.sas.set(sa['id'] as string, sa);
    this.raise('sa-add', { sa });
  }

  deleteSa(id: string): void {
    const sa = this.sas.get(id);
    if (sa === undefined) return;
    this.sas.delete(id);
    this.saStates.delete(id);
    this.raise('sa-delete', { sa: { id, spi: sa['spi'], direction: sa['direction'] } });
  }

  addPolicy(policy: ViciFields): void {
    this.policies.set(policy['id'] as string, policy);
    this.raise('policy-add', { policy });
  }

  /** Sends the next numbered event to those that registered for it. */
  raise(event: string, fields: ViciFields): void {
    this.sequence += 1;
    this.charon.raise(event, { instance: this.instance, seq: this.sequence, ...fields });
  }

  /** As if charon ended and came back: another instance, empty tables. */
  async restart(instance: string): Promise<void> {
    await this.charon.stop();
    for (const table of [this.sas, this.policies, this.saStates, this.dvipaStates]) table.clear();
    this.instance = instance;
    this.sequence = 0;
    await this.charon.start();
  }

  #listReply(): ViciFields {
    return {
      instance: this.instance,
      seq: this.sequence,
      dvipas: ['203.0.113.10'],
      endpoints: ['192.0.2.10'],
      state: Object.fromEntries(this.dvipaStates),
    };
  }

  #put(message: ViciMessage): ViciFields {
    const state = Buffer.from(message.bytes('state') ?? []);
    const [sa, dvipa] = [message.text('sa'), message.text('dvipa')];
    if (state.length > 1024) return { success: false, errmsg: 'state is too long' };
    if (sa !== undefined && !this.sas.has(sa)) return { success: false, errmsg: 'no such SA' };
    if (sa !== undefined) this.saStates.set(sa, state);
    if (dvipa !== undefined) this.dvipaStates.set(dvipa, state);
    return { success: true };
  }
}
