import { pathFitOf } from '../../src/agents/sa-settings.ts';
import { KeyMaterial } from '../../src/base/key-material.ts';
import { DropCounters } from '../../src/base/verdict.ts';
import { OutboundSad } from '../../src/dataplane/outbound-sad.ts';
import { type StampedSa, Stamping } from '../../src/dataplane/stamping.ts';
import type { ShadowOutboundSa } from '../../src/dataplane/target-outbound.ts';
import type { PacketVector } from '../../src/dataplane/vector.ts';
import { LifesizeMeter } from '../../src/ipsec/lifesize-meter.ts';
import { NumberingOwner } from '../../src/ipsec/numbering-owner.ts';
import { PathMtus } from '../../src/ipsec/path-mtus.ts';
import type { SecurityAssociation } from '../../src/ipsec/sa.ts';
import type { StampKeys } from '../../src/ipsec/stamp-mask.ts';
import { CRYPTOS } from '../support/packet-cryptos.ts';
import { RecordingSink, vectorOf } from '../support/dataplane-parts.ts';
import { OutboundBench, outerOf } from './outbound-bench.ts';

export const EPOCH = 3;
const LIMITS = { outside: 1500, cluster: 1500 };

const drawn = (fill: string): KeyMaterial => KeyMaterial.copyOf(Buffer.alloc(16, fill));
/** As both ends of an SA have them: each owns its copy. */
export const stampKeys = (): StampKeys => ({ link: drawn('link'), check: drawn('check') });

/** The routing host's end of stamping, the store answering at once. */
export class StampingBench {
  readonly drops = new DropCounters();
  readonly raw = new RecordingSink();
  readonly sad = new OutboundSad<StampedSa>();
  readonly stamps = CRYPTOS.newStampCrypto();
  readonly stamping: Stamping<StampedSa>;
  readonly revoked: string[] = [];
  now = 1000;

  constructor() {
    this.stamping = new Stamping({
      sad: this.sad,
      stamps: this.stamps,
      raw: this.raw,
      drops: this.drops,
      onNumbering: (entry) => this.settle(entry),
    });
  }

  install(sa: SecurityAssociation, targets: readonly string[] = ['target1', 'target2']): StampedSa {
    const unlimited = { bytes: Number.MAX_SAFE_INTEGER, packets: Number.MAX_SAFE_INTEGER };
    const entry = this.sad.add(sa, (slot) => ({
      slot,
      sa,
      outer: outerOf(sa),
      fit: pathFitOf(sa, new PathMtus(LIMITS)),
      numbering: new NumberingOwner({
        origin: 'new',
        hasEsn: sa.hasEsn,
        sharedWay: 'stamping',
        allowsExclusive: true,
        epoch: EPOCH,
        now: this.now,
      }),
      meter: new LifesizeMeter(unlimited, { hardBytes: 0, hardPackets: 0 }),
      isStamped: true,
    }));
    this.stamps.install(entry.slot, { sa, epoch: EPOCH, ...stampKeys() });
    for (const target of targets) entry.numbering.targetReady(target, 1n, this.now);
    this.settle(entry);
    return entry;
  }

  remove(entry: StampedSa): void {
    this.sad.remove(entry.sa.id);
    this.stamps.remove(entry.slot);
    this.stamping.removed(entry, this.now);
  }

  settle(entry: StampedSa): void {
    for (const action of entry.numbering.takeActions()) {
      if (action.kind === 'store-marks') {
        entry.numbering.storeDone(action.marks, this.now);
        this.settle(entry);
      } else if (action.kind === 'shared-open') this.stamping.resume(entry, this.now);
      else if (action.kind === 'revoke') this.revoked.push(action.target);
    }
  }

  /** One vector of a target's packets, as they came. */
  run(host: string, packets: readonly Uint8Array[], epoch = EPOCH): PacketVector {
    const vector = vectorOf(...packets);
    this.stamping.run(vector, host, epoch, EPOCH, this.now);
    return vector;
  }
}

/** A target that sends on one SA, on the shared way from the start. */
export class StampingTarget {
  readonly bench = new OutboundBench();
  readonly entry: ShadowOutboundSa;

  constructor(sa: SecurityAssociation, senderId: number, epoch = EPOCH) {
    this.bench.epoch = epoch;
    this.entry = this.bench.install(sa, { senderId, stamping: stampKeys() });
    this.bench.way(this.entry, 'stamping');
  }

  /** What goes to the routing host for these inner packets. */
  seal(...inner: readonly Uint8Array[]): Buffer[] {
    this.bench.run(...inner);
    return this.bench.toStamp.splice(0);
  }
}
