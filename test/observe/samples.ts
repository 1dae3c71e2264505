import type { LifesizeSnapshot } from '../../src/observe/lifesize-snapshot.ts';
import type { ConnectionSnapshot } from '../../src/observe/connection-snapshots.ts';
import type {
  DropsSnapshot,
  FilterSnapshot,
  SaSnapshot,
  StatusSnapshot,
  TargetSnapshot,
} from '../../src/observe/snapshots.ts';

/** One small cluster as its routing host would tell about it; the views and the CLI tests print these. */
export const STATUS: StatusSnapshot = {
  role: 'route',
  host: 'router1',
  version: '0.1.0',
  uptimeMs: 3_725_000,
  epoch: 7,
  dvipas: [
    {
      address: '203.0.113.10',
      endpoints: ['192.0.2.10'],
      inboundFilter: 'filter',
      clearText: 'reject',
      serving: ['target1', 'target2'],
    },
  ],
  charon: { connected: true, instance: '00112233445566ff', version: '5.9.8' },
  coupling: [
    { host: 'target1', address: '198.51.100.11', state: 'up', lastHeardMs: 120 },
    { host: 'target3', address: '198.51.100.13', state: 'down' },
  ],
  counters: {
    packetsIn: 1200,
    packetsOut: 0,
    bytesIn: 1_500_000,
    bytesOut: 0,
    opened: 7,
    sealed: 0,
    linkIn: 3,
    linkOut: 1190,
    dropped: 10,
  },
  link: { driver: 'batch', gso: true, gro: false, sent: 1190, sendCalls: 70, received: 3, receiveCalls: 3 },
  crew: { workers: 2, runs: 31, stalls: 1 },
  sending: { packets: 640, runs: 40, packetsInRuns: 600 },
  health: {
    state: 'degraded',
    warnings: [
      { name: 'target-down', severity: 'degraded', text: 'target3 is down' },
      { name: 'target-draining', severity: 'notice', text: 'target2 is in maintenance' },
    ],
  },
  opening: {
    perSecond: 10_000,
    granted: 40,
    refused: 5,
    opened: 7,
    inPlaceOfTargets: 2,
    waiting: 1,
    attackedSas: 1,
    rings: { used: 4, capacity: 1024 },
  },
};

const NO_LIMIT = { soft: 0, hard: 0 };

export const SAS: SaSnapshot[] = [
  {
    id: '00112233445566ff:1',
    spi: 'c0ffee01',
    direction: 'in',
    dvipa: '203.0.113.10',
    peer: '192.0.2.101:4500',
    ikeName: 'dvipa',
    childName: 'web',
    mode: 'tunnel',
    encapsulation: 'udp',
    reqid: 1,
    group: 4,
    algorithm: 'AES_GCM_16-128',
    bytes: 1_500_000,
    packets: 1200,
    idleMs: 40,
    limits: { bytes: { soft: 4_194_304, hard: 5_242_880 }, packets: NO_LIMIT },
    state: 'serving',
    installedOn: ['target1', 'target2'],
    targets: [
      { host: 'target1', state: 'serving' },
      { host: 'target2', state: 'serving' },
      { host: 'target3', state: 'failed', reason: 'algorithm-not-there' },
      { host: 'target4', state: 'down' },
    ],
    isAttacked: true,
    openedHere: 7,
  },
  {
    id: '00112233445566ff:2',
    spi: '0000abcd',
    direction: 'out',
    dvipa: '203.0.113.10',
    peer: '192.0.2.101:4500',
    mode: 'tunnel',
    encapsulation: 'udp',
    reqid: 1,
    group: 4,
    algorithm: 'AES_CBC-128/HMAC_SHA2_256_128',
    bytes: 512,
    packets: 4,
    limits: { bytes: NO_LIMIT, packets: { soft: 0, hard: 1000 } },
    state: 'installing',
    installedOn: [],
    way: 'exclusive:target1',
    openedHere: 0,
  },
];

export const TARGETS: TargetSnapshot[] = [
  {
    host: 'target1',
    address: '198.51.100.11',
    state: 'up',
    incarnation: '18446744073709551615',
    lastHeardMs: 120,
    sas: 4,
    connections: 12,
    epoch: 7,
    draining: ['203.0.113.10'],
    maintenance: false,
  },
  {
    host: 'target3',
    address: '198.51.100.13',
    state: 'down',
    sas: 0,
    connections: 0,
    epoch: 0,
    draining: [],
    maintenance: false,
  },
];

export const CONNECTIONS: ConnectionSnapshot[] = [
  {
    dvipa: '203.0.113.10',
    group: 4,
    protocol: 6,
    source: '10.1.1.1',
    sourcePort: 40_000,
    destinationPort: 80,
    target: 'target2',
    state: 'confirmed',
    remainingMs: 61_000,
  },
];

export const DROPS: DropsSnapshot = { replay: 2, icv: 0, 'tunnel-check': 11 };

export const FILTERS: FilterSnapshot[] = [
  {
    dvipa: '203.0.113.10',
    inboundFilter: 'filter',
    clearText: 'distribute',
    filtersHere: true,
    rules: [
      {
        action: 'require-ipsec',
        protocol: 'tcp',
        source: '10.1.0.0/16',
        sourcePorts: { from: 1024, to: 65_535 },
        ports: { from: 22, to: 22 },
        ipsecPackets: 12,
        clearPackets: 3,
      },
      { action: 'deny', protocol: 132, ipsecPackets: 0, clearPackets: 0 },
    ],
    unmatched: { action: 'deny', ipsecPackets: 7, clearPackets: 0 },
  },
  {
    dvipa: '2001:db8::10',
    inboundFilter: 'bypass',
    clearText: 'reject',
    filtersHere: false,
    rules: [],
    unmatched: { action: 'permit', ipsecPackets: 0, clearPackets: 0 },
  },
];

const LIMITS = { bytes: { soft: 4_194_304, hard: 5_242_880 }, packets: NO_LIMIT };

export const LIFESIZE: LifesizeSnapshot = {
  sas: [
    {
      id: '00112233445566ff:1',
      spi: 'c0ffee01',
      direction: 'in',
      peer: '192.0.2.101:4500',
      ikeName: 'dvipa',
      childName: 'web',
      bytes: 1_500_000,
      packets: 1200,
      limits: LIMITS,
      charged: { bytes: 2_097_152, packets: 1200 },
      reserve: { bytes: 40_000 },
      credits: [
        { user: 'target1', credit: { bytes: 1_048_576 }, reported: { bytes: 524_288 }, isLost: false },
        { user: 'target2', credit: { bytes: 1_048_576 }, reported: { bytes: 975_712 }, isLost: true },
      ],
      percentage: 12.5,
      rekeys: [{ reason: 'bytes', agoMs: 12_000, attempts: 2 }],
    },
  ],
  configurations: [
    {
      ikeName: 'dvipa',
      childName: 'web',
      peer: 'client1',
      sas: 2,
      percentage: 12.5,
      rekeyMs: 500,
      rekeysMeasured: 1,
      history: [
        {
          generation: 1,
          agoMs: 60_000,
          outcome: 'in-time',
          direction: 'in',
          unit: 'bytes',
          total: 4_300_000,
          soft: 4_194_304,
          hard: 5_242_880,
          rekeyMs: 48,
          percentageBefore: 10,
          percentageAfter: 12.5,
        },
      ],
    },
  ],
  rekeys: [{ reason: 'bytes', needs: 2, finished: 1, repeated: 1, refused: 0 }],
  hardLimits: 1,
};
