import type { CallOptions } from '../call.ts';
import type { Requester } from '../connection.ts';
import { ViciError } from '../error.ts';
import { Fields } from '../fields.ts';
import { ViciMessage } from '../message.ts';
import { MAX_STATE_BYTES, parseListReply, parsePolicy, parseSa } from './parse.ts';
import { type PluginPolicy, type PluginSa, type PluginSnapshot, wipePluginSa } from './types.ts';

/** Commands of the charon plugin `kernel-dvipa`, on its own socket. Each rejects with a ViciError only. */

export interface PluginVersion {
  /** The plugin's own version. */
  readonly plugin: string;
  /** The running charon's. */
  readonly daemon: string;
  /** Names this life of charon. */
  readonly instance: string;
  /** What concerns no DVIPA goes to the kernel's own IPsec; if not, it is refused. Undefined: the plugin is too old to say. */
  readonly delegates: boolean | undefined;
}

export async function pluginVersion(requester: Requester, options?: CallOptions): Promise<PluginVersion> {
  const fields = new Fields(await requester.request('version', undefined, options), 'version');
  return {
    plugin: fields.text('plugin'),
    daemon: fields.text('daemon'),
    instance: fields.match('instance', /^[0-9a-f]{16}$/, '16 hex digits'),
    delegates: fields.has('delegates') ? fields.flag('delegates') : undefined,
  };
}

/**
 * Everything the plugin knows. A section that is invalid is left out and told to `onInvalid`: one SA that we cannot
 * read must not stop the others. The caller owns the keys; on failure they are wiped here.
 */
export async function listPlugin(
  requester: Requester,
  onInvalid: (error: ViciError) => void,
  options?: CallOptions,
): Promise<PluginSnapshot> {
  const sas: PluginSa[] = [];
  const policies: PluginPolicy[] = [];
  const take = (message: ViciMessage, event: string) => {
    try {
      const fields = new Fields(message, event);
      if (event === 'list-sa') sas.push(parseSa(fields.section('sa').message));
      else policies.push(parsePolicy(fields.section('policy').message));
    } catch (error) {
      if (!(error instanceof ViciError)) throw error;
      onInvalid(error);
    }
  };
  try {
    const reply = await requester.requestStream('list', ['list-sa', 'list-policy'], take, undefined, options);
    return { ...parseListReply(reply), sas, policies };
  } catch (error) {
    for (const sa of sas) wipePluginSa(sa);
    throw error;
  }
}

/** Tells charon that a target serves the SA (or the outbound policy): lets a waiting `add_sa` or `add_policy` return. */
export async function acknowledge(
  requester: Requester,
  what: { readonly sa: string } | { readonly policy: string },
  options?: CallOptions,
): Promise<void> {
  await requester.request('ack', ViciMessage.of(what), options);
}

/** Totals of one SA over the whole cluster and its life. */
export interface SaCounters {
  readonly bytes: number;
  readonly packets: number;
  /** Since the last packet. */
  readonly idleMs: number;
}

/** SAs in one message: it stays far below VICI's 512 KiB. */
const COUNTERS_PER_MESSAGE = 2000;

/** Pushes totals by SA id; the plugin applies none downwards. charon answers `query_sa` from them. */
export async function pushCounters(
  requester: Requester,
  totals: ReadonlyMap<string, SaCounters>,
  options?: CallOptions,
): Promise<void> {
  const sections = Array.from(totals, ([id, { bytes, packets, idleMs }]): [string, ViciMessage] => [
    id,
    ViciMessage.of({ bytes, packets, 'idle-ms': Math.max(0, Math.round(idleMs)) }),
  ]);
  for (let at = 0; at < sections.length; at += COUNTERS_PER_MESSAGE) {
    const sas = ViciMessage.of(sections.slice(at, at + COUNTERS_PER_MESSAGE));
    await requester.request('counters', ViciMessage.of({ sas }), options);
  }
}

/** A byte or packet limit is reached: soft asks charon for a rekey, hard lets it delete the SA. */
export async function expireSa(
  requester: Requester,
  sa: string,
  limit: 'soft' | 'hard',
  options?: CallOptions,
): Promise<void> {
  await requester.request('expire', ViciMessage.of({ sa, hard: limit === 'hard' }), options);
}

/** The peer's NAT mapping changed. Only after a packet from there was authenticated. */
export async function reportMapping(
  requester: Requester,
  mapping: { readonly sa: string; readonly address: string; readonly port: number },
  options?: CallOptions,
): Promise<void> {
  const { sa, address, port } = mapping;
  await requester.request('mapping', ViciMessage.of({ sa, address, port }), options);
}

/** A packet that waits for an SA: its policy has none, only a trap. Ports 0 where its protocol has none. */
export interface WaitingPacket {
  /** The policy's key. */
  readonly policy: string;
  readonly protocol: number;
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
}

/** Asks charon for an SA of a policy that is a trap; resolves when charon was told, before it has one. */
export async function acquireSa(
  requester: Requester,
  { policy, protocol, source, sourcePort, destination, destinationPort }: WaitingPacket,
  options?: CallOptions,
): Promise<void> {
  const packet = { protocol, src: source, sport: sourcePort, dst: destination, dport: destinationPort };
  await requester.request('acquire', ViciMessage.of({ policy, ...packet }), options);
}

/** Keeps the agent's bytes, at most 1024, with an SA or a DVIPA; resolves once they are stored. `list` gives them back. */
export async function putState(
  requester: Requester,
  owner: { readonly sa: string } | { readonly dvipa: string },
  state: Uint8Array,
  options?: CallOptions,
): Promise<void> {
  if (state.length > MAX_STATE_BYTES)
    throw new ViciError('too-big', `a state is over ${MAX_STATE_BYTES} bytes`);
  await requester.request('put', ViciMessage.of({ ...owner, state }), options);
}
