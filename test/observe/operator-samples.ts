import type { ConnectionCounts, TopSource } from '../../src/observe/connection-snapshots.ts';
import type { DvipaDetails } from '../../src/observe/dvipa-snapshot.ts';
import type { AgentEvent } from '../../src/observe/event-item.ts';
import type { NumberingSnapshot } from '../../src/observe/numbering-snapshot.ts';
import type {
  DrainSnapshot,
  MaintenanceSnapshot,
  RekeySnapshot,
} from '../../src/observe/operator-snapshots.ts';

export const DVIPAS: DvipaDetails[] = [
  {
    address: '203.0.113.10',
    endpoints: ['192.0.2.10', '203.0.113.10'],
    inboundFilter: 'filter',
    clearText: 'distribute',
    returnVia: 'direct',
    distribution: {
      method: 'hot-standby',
      affinity: 'source',
      affinitySeconds: 60,
      switchBack: true,
      weights: [],
    },
    services: [
      {
        protocol: 'tcp',
        port: 443,
        method: 'round-robin',
        affinity: 'none',
        weights: [{ host: 'target2', weight: 3 }],
        targets: ['target1', 'target2'],
      },
    ],
    sourcePorts: { from: 32_768, to: 60_999, block: 1024 },
    sas: 4,
    targets: [
      {
        host: 'target1',
        state: 'up',
        isDraining: true,
        connections: 12,
        busyPerMille: 125,
        sourcePorts: { from: 32_768, to: 33_791 },
        listeners: { tcp: [22, 80, 443, 1001, 1002, 1003, 1004, 1005, 1006], udp: [53] },
      },
      { host: 'target2', state: 'down', isDraining: false, connections: 0 },
    ],
  },
  {
    address: '2001:db8::10',
    endpoints: ['2001:db8::10'],
    inboundFilter: 'bypass',
    clearText: 'reject',
    returnVia: 'router',
    sas: 0,
    targets: [
      { host: 'target1', state: 'up', isDraining: false, connections: 0, listeners: { tcp: [], udp: [] } },
    ],
  },
];

export const NUMBERING: NumberingSnapshot[] = [
  {
    id: '00112233445566ff:2',
    spi: '0000abcd',
    dvipa: '203.0.113.10',
    peer: '192.0.2.101:4500',
    ikeName: 'dvipa',
    childName: 'web',
    way: 'exclusive:target1',
    state: 'exclusive',
    lease: { target: 'target1', lease: 1_048_577, next: 65, end: 129, remainingMs: 120 },
    senders: [{ target: 'target1', senderId: 1, idleMs: 5, asked: 64 }, { target: 'target2' }],
    sharedWay: 'stamping',
    nextSequence: 129,
    storedSequence: 65_537,
    nextSenderId: 2,
    storedSenderId: 17,
    senderIdsLeft: 65_534,
    expiredLeases: 0,
    changes: 3,
  },
];

export const COUNTS: ConnectionCounts = {
  total: 15,
  targets: [
    { target: 'target1', tentative: 1, opening: 0, confirmed: 12, closing: 0 },
    { target: 'target2', tentative: 0, opening: 0, confirmed: 1, closing: 1 },
  ],
};

export const TOP: TopSource[] = [
  { source: '10.1.1.1', group: 4, connections: 12, bytes: 1_500_000, packets: 1200 },
  { source: '2001:db8::7', group: 0, connections: 3, error: 2 },
];

export const DRAIN: DrainSnapshot = {
  target: 'target1',
  draining: ['203.0.113.10'],
  maintenance: false,
  isStored: false,
  unserved: ['203.0.113.10'],
};

export const MAINTENANCE: MaintenanceSnapshot = {
  host: 'target1',
  isOn: true,
  isReported: false,
  connections: 3,
};

export const REKEY: RekeySnapshot = {
  asked: [
    { spi: 'c0ffee01', direction: 'out', ikeName: 'dvipa', childName: 'web', outcome: 'taken' },
    { spi: 'c0ffee02', direction: 'out', outcome: 'refused' },
  ],
};

export const EVENT: AgentEvent = {
  instance: '00112233445566ff',
  seq: 12,
  time: '2026-11-26T18:00:00.123Z',
  event: 'target-down',
  level: 'warn',
  message: 'target lost',
  fields: { target: 'target1', reason: 'coupling-timeout', connections: 3 },
};
