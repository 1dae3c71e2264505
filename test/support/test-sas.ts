import { KeyMaterial } from '../../src/base/key-material.ts';
import { AUTH_HMAC_SHA2_256_128, ENCR_AES_CBC, ENCR_AES_GCM_16 } from '../../src/ipsec/algorithms.ts';
import type { OutboundPolicy, SaId, SecurityAssociation, Spi } from '../../src/ipsec/sa.ts';
import { type TrafficSelector, trafficSelectorOf } from '../../src/ipsec/traffic-selector.ts';
import { type EspSuite, testKeys } from './esp-peer.ts';
import { CLIENT, CLIENT_INNER, DVIPA, ENDPOINT } from './inner-packets.ts';

export interface SaTest {
  readonly spi: number;
  readonly direction?: 'in' | 'out';
  readonly suite?: EspSuite;
  readonly reqid?: number;
  readonly group?: number;
  readonly hasEsn?: boolean;
  readonly replayWindowPackets?: number;
  readonly dvipa?: string;
  readonly client?: string;
  readonly clientInner?: string;
  readonly selector?: Partial<{ protocol: number; fromPort: number; toPort: number }>;
  readonly lifetime?: Partial<SecurityAssociation['lifetime']>;
  readonly tfcBytes?: number;
  readonly copy?: SecurityAssociation['copy'];
}

export function selectorOf(address: string, rest: SaTest['selector'] = {}): TrafficSelector {
  return trafficSelectorOf({ from: address, to: address, ...rest }) as TrafficSelector;
}

const NO_LIMIT = { soft: 0, hard: 0 };

/** An SA of the lab, tunnel mode and ESP in UDP; its keys follow from the SPI (`testKeys`). */
export function testSa(given: SaTest): SecurityAssociation {
  const { spi, direction = 'in', suite = 'aes128gcm16', dvipa = DVIPA, client = CLIENT } = given;
  const keys = testKeys(suite, spi);
  const peer = selectorOf(given.clientInner ?? CLIENT_INNER);
  const ours = selectorOf(dvipa, given.selector);
  const ports = { sourcePort: 4500, destinationPort: 4500 };
  return {
    id: `00c0ffee00c0ffee:${spi & 0xffff}` as SaId,
    spi: spi as Spi,
    direction,
    mode: 'tunnel',
    reqid: given.reqid ?? 1,
    group: given.group ?? given.reqid ?? 1,
    outer:
      direction === 'in'
        ? { source: client, destination: ENDPOINT, ...ports }
        : { source: ENDPOINT, destination: client, ...ports },
    hasUdpEncapsulation: true,
    hasEsn: given.hasEsn ?? false,
    replayWindowPackets: given.replayWindowPackets ?? 64,
    encryption: {
      transform: keys.integrity === undefined ? ENCR_AES_GCM_16 : ENCR_AES_CBC,
      key: KeyMaterial.copyOf(keys.encryption),
    },
    ...(keys.integrity !== undefined && {
      integrity: { transform: AUTH_HMAC_SHA2_256_128, key: KeyMaterial.copyOf(keys.integrity) },
    }),
    sourceSelectors: [direction === 'in' ? peer : ours],
    destinationSelectors: [direction === 'in' ? ours : peer],
    lifetime: { bytes: NO_LIMIT, packets: NO_LIMIT, seconds: NO_LIMIT, ...given.lifetime },
    tfcBytes: given.tfcBytes ?? 0,
    copy: given.copy ?? { df: true, ecn: true, dscp: false },
    dvipa,
  };
}

/** The policy of an outbound SA, as charon installs it with the switch. */
export function policyFor(sa: SecurityAssociation, override: Partial<OutboundPolicy> = {}): OutboundPolicy {
  const [source] = sa.sourceSelectors;
  const [destination] = sa.destinationSelectors;
  if (source === undefined || destination === undefined) throw new Error('the SA has selectors');
  return {
    key: `out ${sa.dvipa}/32 === ${sa.reqid}`,
    source,
    destination,
    reqid: sa.reqid,
    group: sa.group,
    priority: 371_327,
    spi: sa.spi,
    peer: sa.outer.destination,
    ...override,
  };
}
