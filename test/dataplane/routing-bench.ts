import { DropCounters } from '../../src/base/verdict.ts';
import { Distributor } from '../../src/connections/distributor.ts';
import { type FilterMode, type FilterRule, InboundFilter } from '../../src/dataplane/inbound-filter.ts';
import { InboundSad } from '../../src/dataplane/inbound-sad.ts';
import {
  RoutingInbound,
  type RoutingInboundOptions,
  type RoutingInboundSa,
} from '../../src/dataplane/routing-inbound.ts';
import { InboundOwners } from '../../src/ipsec/inbound-owners.ts';
import { Peeker } from '../../src/ipsec/peek.ts';
import type { SecurityAssociation } from '../../src/ipsec/sa.ts';
import { TunnelCheck } from '../../src/ipsec/tunnel-check.ts';
import { RecordingLink, vectorOf } from '../support/dataplane-parts.ts';
import { addr, DVIPA, DVIPA6, ENDPOINT, ENDPOINT6 } from '../support/inner-packets.ts';
import { AddressSet } from '../../src/packet/address-map.ts';
import { KeyedHash } from '../../src/connections/connection-key.ts';
import { OuterSources } from '../../src/connections/outer-sources.ts';

export interface InstallOptions {
  readonly filterMode?: FilterMode;
  readonly rules?: readonly FilterRule[];
  /** Targets that serve it. */
  readonly serving?: readonly number[];
  readonly isWaitingForWindows?: boolean;
}

/** The routing host's way in, with a link that keeps what it is given and targets 0, 1 and 2. */
export class RoutingBench {
  readonly drops = new DropCounters();
  readonly link = new RecordingLink();
  readonly sad = new InboundSad<RoutingInboundSa>();
  readonly peeker = new Peeker();
  readonly distributor = new Distributor({ seed: Buffer.alloc(8, 7) });
  readonly inbound: RoutingInbound;
  readonly #dispatches = [0, 0, 0];
  now = 1000;
  epoch = 3;

  constructor(
    targets: readonly number[] = [0, 1, 2],
    endpoints: readonly string[] = [ENDPOINT, ENDPOINT6],
    pathMtu: RoutingInboundOptions['pathMtu'] = { take: (_vector, _i, _now, verdict) => verdict },
  ) {
    for (const dvipa of [DVIPA, DVIPA6]) {
      this.distributor.addDvipa(addr(dvipa));
      for (const target of targets) this.distributor.addTarget(addr(dvipa), target);
    }
    this.inbound = new RoutingInbound({
      sad: this.sad,
      addresses: {
        endpoints: new AddressSet(endpoints.map(addr)),
        dvipas: new AddressSet([DVIPA, DVIPA6].map(addr)),
      },
      peek: this.peeker,
      distributor: this.distributor,
      sources: new OuterSources(Buffer.alloc(8, 7)),
      pathMtu,
      fragmentHash: new KeyedHash(Buffer.alloc(8, 7)),
      clear: { run: () => {} },
      link: this.link,
      drops: this.drops,
      nextDispatch: (target) => {
        const next = (this.#dispatches[target] ?? 0) + 1;
        this.#dispatches[target] = next;
        return next;
      },
      epoch: () => this.epoch,
    });
  }

  install(sa: SecurityAssociation, options: InstallOptions = {}): RoutingInboundSa {
    const { filterMode = 'bypass', rules = [], serving = [0, 1, 2] } = options;
    const entry = this.sad.add(sa, (slot) => ({
      slot,
      sa,
      destination: addr(sa.outer.destination),
      owners: new InboundOwners(sa.replayWindowPackets),
      check: new TunnelCheck(sa.sourceSelectors, sa.destinationSelectors),
      dvipa: {
        address: addr(sa.dvipa),
        filterMode,
        filter: new InboundFilter(rules),
        distributesClear: false,
      },
      serving: new Set(serving),
      isWaitingForWindows: options.isWaitingForWindows ?? false,
    }));
    this.peeker.install(entry.slot, sa);
    return entry;
  }

  /** One vector; returns it. */
  run(...datagrams: readonly Uint8Array[]) {
    const vector = vectorOf(...datagrams);
    this.inbound.run(vector, this.now);
    return vector;
  }
}
