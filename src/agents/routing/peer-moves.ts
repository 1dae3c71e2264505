import type { Clock } from '../../base/clock.ts';
import type { TargetBodies } from '../../coupling/records.ts';
import type { OuterSources } from '../../connections/outer-sources.ts';
import { formatSpi, type SaId } from '../../ipsec/sa.ts';
import type { Log } from '../../observe/log.ts';
import { equalAddresses, isUnicastAddress, parseAddress } from '../../packet/address.ts';
import { type Requester, reportMapping } from '../../vici/index.ts';
import type { InboundSa } from './routing-sas.ts';
import type { TargetPeer } from './target-peers.ts';

/** charon is told of one move of a peer in so long: it changes SAs and policies, and every target follows. */
const MOVE_INTERVAL_MS = 1000;

interface Move {
  readonly at: number;
  readonly to: string;
}

/**
 * Peers that move (NAT rebinding; a peer that changes its address): a target authenticated a packet from elsewhere. It is believed
 * only about what it was given, and only if no target has reported a higher number; then charon is told, and what
 * charon makes of it comes back as `sa-update`. Nothing is changed here.
 */
export class PeerMoves {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #plugin: Requester;
  readonly #sources: OuterSources;
  readonly #moves = new Map<SaId, Move>();

  constructor(options: {
    readonly clock: Clock;
    readonly log: Log;
    readonly plugin: Requester;
    readonly sources: OuterSources;
  }) {
    this.#sources = options.sources;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#plugin = options.plugin;
  }

  /** False: the target was not given such a packet. */
  reported(entry: InboundSa, peer: TargetPeer, body: TargetBodies['mapping-report']): boolean {
    const { sequence, port } = body;
    const address = parseAddress(body.address);
    if (address === undefined || !isUnicastAddress(address)) return false;
    const [high, low] = [Number(sequence >> 32n), Number(sequence & 0xffff_ffffn)];
    if (equalAddresses(address, 0, entry.destination, 0)) return true; // ourselves: forged on the way, and no place of a peer
    const verdict = entry.owners.moved(high, low, peer.index, this.#sources.numberOf(address, 0, port));
    if (verdict === 'moved') this.#move(entry, peer, body.address, port);
    return verdict !== 'refused';
  }

  removed(id: SaId): void {
    this.#moves.delete(id);
  }

  #move({ sa, pluginId }: InboundSa, peer: TargetPeer, address: string, port: number): void {
    const from = `${sa.outer.source}:${sa.outer.sourcePort}`;
    const to = `${address}:${port}`;
    const now = this.#clock.now();
    const before = this.#moves.get(sa.id);
    if (from === to || (before !== undefined && now - before.at < MOVE_INTERVAL_MS)) return;
    this.#moves.set(sa.id, { at: now, to });
    const fields = { sa: sa.id, spi: formatSpi(sa.spi), peer: from, address, port, target: peer.host };
    // Once for each place: charon may not want to follow, and then this comes every second.
    if (before?.to === to) this.#log.debug('the peer has moved', fields);
    else this.#log.info('the peer has moved', { ...fields, event: 'peer-moved' });
    reportMapping(this.#plugin, { sa: pluginId, address, port }).catch((error: unknown) => {
      this.#log.warn('charon was not told that the peer has moved', { ...fields, error });
    });
  }
}
