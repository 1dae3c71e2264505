import { smallBytesOf } from '../base/small-arrays.ts';
import { theirsOf } from './group-overlaps.ts';
import type { LifetimeLimit, OutboundPolicy, SecurityAssociation } from './sa.ts';
import { compareAddressBytes, type TrafficSelector } from './traffic-selector.ts';

/** So many different parts of a kind are kept once. Ours are few; with more than that each SA has its own. */
const SHARED_PARTS = 256;

const NO_LIMIT: LifetimeLimit = { soft: 0, hard: 0 };

/**
 * SAs and outbound policies that stay, in as little memory as may be: one shape of objects for all of them, however they came, and what they say of our side kept once.
 * They say the same as before, and have the same keys.
 */
export class KeptSas {
  readonly #copies = new Map<string, SecurityAssociation['copy']>();
  readonly #texts = new Map<string, string>();
  readonly #selectors = new Map<string, readonly TrafficSelector[]>();

  /** `relative`: an SA that was kept, perhaps of the same peer, other direction. */
  keep(sa: SecurityAssociation, relative?: SecurityAssociation): SecurityAssociation {
    const theirs = keptSelectors(theirsOf(sa), relative);
    const isIn = sa.direction === 'in';
    const { bytes, packets, seconds } = sa.lifetime;
    const kept = {
      id: sa.id,
      spi: sa.spi,
      direction: isIn ? ('in' as const) : ('out' as const),
      mode: sa.mode === 'tunnel' ? ('tunnel' as const) : ('transport' as const),
      reqid: sa.reqid,
      group: sa.group,
      outer: this.outer(sa),
      hasUdpEncapsulation: sa.hasUdpEncapsulation,
      hasEsn: sa.hasEsn,
      replayWindowPackets: sa.replayWindowPackets,
      encryption: { transform: sa.encryption.transform, key: sa.encryption.key },
      sourceSelectors: isIn ? theirs : this.#ours(sa.sourceSelectors),
      destinationSelectors: isIn ? this.#ours(sa.destinationSelectors) : theirs,
      lifetime: { bytes: keptLimit(bytes), packets: keptLimit(packets), seconds: keptLimit(seconds) },
      tfcBytes: sa.tfcBytes,
      copy: this.#copy(sa.copy),
      dvipa: this.#text(sa.dvipa),
    };
    const { integrity } = sa;
    return integrity === undefined
      ? kept
      : { ...kept, integrity: { transform: integrity.transform, key: integrity.key } };
  }

  /** The outer addresses of an SA, likewise. */
  outer({
    outer,
    direction,
  }: Pick<SecurityAssociation, 'outer' | 'direction'>): SecurityAssociation['outer'] {
    const isIn = direction === 'in';
    const { source, destination, sourcePort, destinationPort } = outer;
    return {
      source: isIn ? source : this.#text(source),
      destination: isIn ? this.#text(destination) : destination,
      sourcePort,
      destinationPort,
    };
  }

  /** `theirs`: the peer's selectors of the SA that the policy names. */
  policy(policy: OutboundPolicy, theirs: readonly TrafficSelector[] = []): OutboundPolicy {
    const { destination } = policy;
    const [source = policy.source] = this.#ours([policy.source]);
    return {
      key: policy.key,
      source,
      destination: theirs.find((one) => isEqual(one, destination)) ?? keptSelector(destination),
      reqid: policy.reqid,
      group: policy.group,
      priority: policy.priority,
      spi: policy.spi,
      peer: policy.peer,
    };
  }

  #text(text: string): string {
    return shared(this.#texts, text, () => text);
  }

  #copy({ df, ecn, dscp }: SecurityAssociation['copy']): SecurityAssociation['copy'] {
    return shared(this.#copies, `${df} ${ecn} ${dscp}`, () => ({ df, ecn, dscp }));
  }

  #ours(selectors: readonly TrafficSelector[]): readonly TrafficSelector[] {
    return shared(this.#selectors, selectors.map(textOf).join(), () => selectors.map(keptSelector));
  }
}

function shared<T>(parts: Map<string, T>, key: string, make: () => T): T {
  const known = parts.get(key);
  if (known !== undefined) return known;
  const made = make();
  if (parts.size < SHARED_PARTS) parts.set(key, made);
  return made;
}

function keptSelectors(
  theirs: readonly TrafficSelector[],
  relative: SecurityAssociation | undefined,
): readonly TrafficSelector[] {
  const known = relative === undefined ? [] : theirsOf(relative);
  const areSame =
    known.length === theirs.length && known.every((one, i) => isEqual(one, theirs[i] as TrafficSelector));
  return areSame ? known : theirs.map(keptSelector);
}

function isEqual(a: TrafficSelector, b: TrafficSelector): boolean {
  return (
    a.family === b.family &&
    a.protocol === b.protocol &&
    a.fromPort === b.fromPort &&
    a.toPort === b.toPort &&
    compareAddressBytes(a.from, b.from) === 0 &&
    compareAddressBytes(a.to, b.to) === 0
  );
}

function textOf({ family, from, to, protocol, fromPort, toPort }: TrafficSelector): string {
  return [family, ...from, ...to, protocol, fromPort, toPort].join(' ');
}

/** A single address, as most are, is kept once. */
function keptSelector(selector: TrafficSelector): TrafficSelector {
  const { family, protocol, fromPort, toPort } = selector;
  const from = smallBytesOf(selector.from);
  const to = compareAddressBytes(from, selector.to) === 0 ? from : smallBytesOf(selector.to);
  return { family, from, to, protocol, fromPort, toPort };
}

function keptLimit({ soft, hard }: LifetimeLimit): LifetimeLimit {
  return soft === 0 && hard === 0 ? NO_LIMIT : { soft, hard };
}
