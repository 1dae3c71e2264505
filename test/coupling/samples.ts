import { KeyMaterial } from '../../src/base/key-material.ts';
import type { RouteBodies, TargetBodies } from '../../src/coupling/records.ts';
import type { SaId, SecurityAssociation, Spi } from '../../src/ipsec/sa.ts';
import type { TrafficSelector } from '../../src/ipsec/traffic-selector.ts';

export const SA_ID = '00112233445566aa:9' as SaId;
/** A byte pattern that occurs nowhere by accident. */
export const KEY_BYTES = Buffer.from('5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e7ff01', 'hex');
export const INTEGRITY_KEY_BYTES = Buffer.alloc(32, 0x1c);

export function saId(number: number): SaId {
  return `00112233445566aa:${number}` as SaId;
}

export function selector(from: readonly number[], to: readonly number[] = from): TrafficSelector {
  return {
    family: from.length === 4 ? 4 : 6,
    from: Uint8Array.from(from),
    to: Uint8Array.from(to),
    protocol: 6,
    fromPort: 0,
    toPort: 65535,
  };
}

/** A fresh one each time: whoever gets it may wipe the keys. */
export function sampleSa(changes: Partial<SecurityAssociation> = {}): SecurityAssociation {
  return {
    id: SA_ID,
    spi: 0xc0010203 as Spi,
    direction: 'in',
    mode: 'tunnel',
    reqid: 7,
    group: 9,
    outer: { source: '192.0.2.101', destination: '192.0.2.10', sourcePort: 4500, destinationPort: 4500 },
    hasUdpEncapsulation: true,
    hasEsn: false,
    replayWindowPackets: 32,
    encryption: { transform: 20, key: KeyMaterial.copyOf(KEY_BYTES) },
    integrity: { transform: 12, key: KeyMaterial.copyOf(INTEGRITY_KEY_BYTES) },
    sourceSelectors: [selector([10, 1, 1, 1])],
    destinationSelectors: [
      selector([203, 0, 113, 10]),
      selector(Array<number>(16).fill(0), Array<number>(16).fill(255)),
    ],
    lifetime: {
      bytes: { soft: 2 ** 40, hard: 2 ** 53 - 1 },
      packets: { soft: 0, hard: 0 },
      seconds: { soft: 3000, hard: 3600 },
    },
    tfcBytes: 0,
    copy: { df: true, ecn: true, dscp: false },
    dvipa: '203.0.113.10',
    ...changes,
  };
}

const flow = {
  dvipa: '203.0.113.10',
  group: 9,
  protocol: 6,
  source: '10.1.1.1',
  sourcePort: 40_000,
  destinationPort: 80,
};

/** One body of every kind. */
export function routeBodies(): RouteBodies {
  return {
    dvipa: {
      address: '203.0.113.10',
      endpoints: ['192.0.2.10', '2001:db8::10'],
      filterMode: 'bypass',
      rules: [
        { action: 'permit', protocol: 'tcp', fromPort: 80, toPort: 80, source: '10.1.0.0/16' },
        {
          action: 'require-ipsec',
          protocol: 132,
          fromPort: 0,
          toPort: 65535,
          sourcePorts: { from: 1024, to: 65535 },
        },
        { action: 'deny', protocol: 'any', fromPort: 0, toPort: 65535 },
      ],
      clearText: 'distribute',
      returnVia: 'direct',
      router: '198.51.100.1',
      sourcePorts: { from: 32_768, to: 60_999, leased: { from: 32_768, to: 42_177 } },
    },
    'dvipa-remove': { address: '2001:db8::1' },
    'link-key': {
      key: KeyMaterial.copyOf(Buffer.alloc(32, 0xa1)),
      toRouter: KeyMaterial.copyOf(Buffer.alloc(32, 0xb2)),
      keyId: 0xffff_ffff,
      dispatched: 2n ** 33n,
    },
    'sa-install': {
      sa: sampleSa(),
      senderId: 65535,
      window: { top: 2n ** 64n - 1n, bitmap: Uint8Array.from([0xff, 1, 2]) },
      credit: { bytes: 2 ** 53 - 1, packets: 0 },
    },
    'sa-update': {
      id: SA_ID,
      outer: { source: '192.0.2.99', destination: '192.0.2.10', sourcePort: 61000, destinationPort: 4500 },
      hasUdpEncapsulation: true,
    },
    'path-mtu': { sa: SA_ID, mtu: 1400 },
    claim: { sa: SA_ID, sequence: 2n ** 32n + 5n },
    'sa-remove': { id: SA_ID },
    'policy-install': {
      policy: {
        key: 'out 203.0.113.10/32 10.1.1.1/32',
        source: selector([203, 0, 113, 10]),
        destination: selector([10, 1, 1, 1]),
        reqid: 7,
        group: 9,
        priority: 371_327,
        spi: 0xc0010204 as Spi,
        peer: '192.0.2.101',
      },
    },
    'policy-remove': { key: 'out 203.0.113.10/32 10.1.1.1/32' },
    'lease-grant': { sa: SA_ID, lease: 3, first: 2n ** 63n, count: 2 ** 32, ttlMs: 200 },
    'lease-revoke': { sa: SA_ID, lease: 3 },
    way: { sa: SA_ID, way: 'funnel' },
    completeness: { dvipa: '203.0.113.10', complete: false },
    credit: { sa: SA_ID, bytes: 1_000_000, packets: 1000 },
    'flow-answer': { flow, isYours: true },
  };
}

export function targetBodies(): TargetBodies {
  return {
    'sa-installed': { id: SA_ID, ok: false, reason: 'algorithm 1234 is not supported' },
    'policy-installed': { key: 'out 203.0.113.10/32 10.1.1.1/32' },
    window: { sa: SA_ID, isComplete: false, top: 0n, bitmap: new Uint8Array(0) },
    'windows-end': { livesMs: 86_400_000 },
    'replay-report': {
      sa: SA_ID,
      numbers: Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 5]),
      floor: 1n,
      wrongIcvs: 7,
    },
    'claim-answer': { sa: SA_ID, sequence: 2n ** 64n - 1n, isGiven: true },
    'mapping-report': { sa: SA_ID, address: '192.0.2.99', port: 61_000, sequence: 2n ** 32n + 5n },
    'lifesize-report': { sa: SA_ID, bytes: 2 ** 33, packets: 2 ** 22, idleMs: 12 },
    'flow-report': { opened: [flow], closed: [{ ...flow, source: '2001:db8::2' }], full: true },
    'dvipa-wanted': { dvipa: '203.0.113.20' },
    'flow-ask': { flow: { ...flow, protocol: 1, sourcePort: 8, destinationPort: 4711 } },
    acquire: {
      key: 'out 203.0.113.10/32 10.1.1.1/32',
      protocol: 6,
      source: '203.0.113.10',
      sourcePort: 32_768,
      destination: '10.1.1.1',
      destinationPort: 80,
    },
    listeners: { dvipa: '203.0.113.10', tcp: [22, 80, 65535], udp: [1] },
    load: { busyPerMille: 1000 },
    maintenance: { isOn: true },
    'lease-request': { sa: SA_ID, count: 64 },
    'lease-return': { sa: SA_ID, lease: 3, firstUnused: 2n ** 63n + 5n },
    flush: { sa: SA_ID, counter: 2n ** 48n },
  };
}
