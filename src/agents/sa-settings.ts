import type { OuterHeader } from '../dataplane/encapsulate.ts';
import { supported } from '../ipsec/algorithms.ts';
import { type LifesizeCredit, LifesizeMeter } from '../ipsec/lifesize-meter.ts';
import type { SecurityAssociation } from '../ipsec/sa.ts';
import { parseIpv4Address } from '../packet/address.ts';

/** What both agents derive from an SA when they install it. */

/** IPv4 text to number; throws on anything else: such an SA is refused by name, not half installed. */
export function addressNumber(text: string): number {
  const number = parseIpv4Address(text);
  if (number === undefined) throw new RangeError(`${text} is no IPv4 address`);
  return number;
}

export function outerHeaderOf(sa: SecurityAssociation): OuterHeader {
  return {
    source: addressNumber(sa.outer.source),
    destination: addressNumber(sa.outer.destination),
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
export function algorithmRefusal({ encryption, integrity }: SecurityAssociation): string | undefined {
  const support = supported(
    { transform: encryption.transform, keyMaterialBytes: encryption.key.lengthBytes },
    integrity && { transform: integrity.transform, keyMaterialBytes: integrity.key.lengthBytes },
  );
  return support.isSupported ? undefined : support.reason;
}
