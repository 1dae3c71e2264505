import { smallWordsOf } from '../base/small-arrays.ts';
import type { OuterHeader } from '../dataplane/encapsulate.ts';
import { type Support, supported } from '../ipsec/algorithms.ts';
import { type LifesizeCredit, LifesizeMeter } from '../ipsec/lifesize-meter.ts';
import type { PathFit } from '../ipsec/path-fit.ts';
import type { PathMtus } from '../ipsec/path-mtus.ts';
import type { SecurityAssociation } from '../ipsec/sa.ts';
import { familyOf, type IpAddress, parseAddress } from '../packet/address.ts';

/** What both agents derive from an SA when they install it. */

/** Text to address; throws on anything else: such an SA is refused by name, not half installed. */
export function addressOf(text: string): IpAddress {
  const address = parseAddress(text);
  if (address === undefined) throw new RangeError(`${text} is no address`);
  return smallWordsOf(address);
}

/** Both outer addresses; throws unless they are addresses of one family. */
export function outerAddressesOf({ outer }: SecurityAssociation): {
  source: IpAddress;
  destination: IpAddress;
} {
  const source = addressOf(outer.source);
  const destination = addressOf(outer.destination);
  if (familyOf(source) !== familyOf(destination)) {
    throw new RangeError(`${outer.source} and ${outer.destination} are of two families`);
  }
  return { source, destination };
}

export function outerHeaderOf(sa: SecurityAssociation): OuterHeader {
  return {
    mode: sa.mode,
    hasUdpEncapsulation: sa.hasUdpEncapsulation,
    ...outerAddressesOf(sa),
    sourcePort: sa.outer.sourcePort,
    destinationPort: sa.outer.destinationPort,
    copyDf: sa.copy.df,
    copyEcn: sa.copy.ecn,
    copyDscp: sa.copy.dscp,
  };
}

export function meterOf(sa: SecurityAssociation, credit: LifesizeCredit): LifesizeMeter {
  const { bytes, packets } = sa.lifetime;
  return new LifesizeMeter(credit, { hardBytes: bytes.hard, hardPackets: packets.hard });
}

/** Why this data plane cannot do the SA's algorithms; undefined: it can. */
export function algorithmRefusal(sa: SecurityAssociation): string | undefined {
  const support = supportOf(sa);
  return support.isSupported ? undefined : support.reason;
}

/** How much fits into the SA's packets, of either direction; throws for algorithms that were to be refused. */
export function pathFitOf(sa: SecurityAssociation, paths: PathMtus): PathFit {
  const support = supportOf(sa);
  if (!support.isSupported) throw new RangeError(support.reason);
  const { mode, hasUdpEncapsulation, outer, direction } = sa;
  const outerFamily = familyOf(outerAddressesOf(sa).source);
  const shape = { suite: support.suite, mode, outerFamily, hasUdpEncapsulation };
  const [ours, peer] =
    direction === 'out' ? [outer.source, outer.destination] : [outer.destination, outer.source];
  return paths.fitOf(shape, peer, ours);
}

/** Of an SA that was not refused. */
export function icvBytesOf(sa: SecurityAssociation): number {
  const support = supportOf(sa);
  if (!support.isSupported) throw new RangeError(support.reason);
  return support.suite.icvBytes;
}

function supportOf({ encryption, integrity }: SecurityAssociation): Support {
  return supported(
    { transform: encryption.transform, keyMaterialBytes: encryption.key.lengthBytes },
    integrity && { transform: integrity.transform, keyMaterialBytes: integrity.key.lengthBytes },
  );
}
