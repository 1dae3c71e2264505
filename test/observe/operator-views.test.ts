import { expect } from 'chai';
import { renderConnectionCounts, renderTopSources } from '../../src/observe/views/connections.ts';
import { renderDvipas } from '../../src/observe/views/dvipas.ts';
import { renderEvent } from '../../src/observe/views/events.ts';
import { renderHealth } from '../../src/observe/views/health.ts';
import { renderNumbering } from '../../src/observe/views/numbering.ts';
import { renderDrain, renderMaintenance, renderRekey } from '../../src/observe/views/operator.ts';
import { renderStatus } from '../../src/observe/views/status.ts';
import { PLAIN } from '../../src/observe/views/style.ts';
import { COUNTS, DRAIN, DVIPAS, EVENT, MAINTENANCE, NUMBERING, REKEY, TOP } from './operator-samples.ts';
import { STATUS } from './samples.ts';

function lines(...wanted: string[]): string {
  return `${wanted.join('\n')}\n`;
}

describe("the operator's views", () => {
  it('a DVIPA is shown with its distribution, and each target with load, source ports and listeners', () => {
    expect(renderDvipas(DVIPAS, PLAIN)).to.equal(
      lines(
        '203.0.113.10',
        '  endpoint 192.0.2.10',
        '  inbound filter filter, clear text distribute, return direct, 4 SAs',
        '  new connections by hot-standby, switches back, affinity by source for 60 s',
        '  tcp 443 by round-robin, weights target2:3 over target1, target2',
        '  source ports 32768-60999, 1024 for each target',
        '  TARGET   STATE  NEW      CONNECTIONS    BUSY  SOURCE PORTS  LISTENS',
        '  target1  up     drained           12  12.5 %  32768-33791   tcp 22,80,443,1001,1002,1003,1004,1005,... (9) udp 53',
        '  target2  down   yes                0       -  -             -',
        '',
        '2001:db8::10',
        '  endpoint itself',
        '  inbound filter bypass, clear text reject, return router, 0 SAs',
        '  TARGET   STATE  NEW  CONNECTIONS  BUSY  SOURCE PORTS  LISTENS',
        '  target1  up     yes            0     -  -             nowhere',
      ),
    );
    expect(renderDvipas([], PLAIN)).to.equal('no DVIPAs\n');
  });

  it('numbering shows who holds which numbers, and who waits for a sender id or numbers', () => {
    expect(renderNumbering(NUMBERING, PLAIN)).to.equal(
      lines(
        'SPI       PEER              WAY                STATE      LEASE                   SENDER IDS            NEXT  STORED  IDS LEFT  EXPIRED  CHANGES',
        '0000abcd  192.0.2.101:4500  exclusive:target1  exclusive  target1 65-128, 120 ms  target1:1+ target2:?   129   65537     65534        0        3',
      ),
    );
  });

  it('connections are counted by target and state, and their sources ranked', () => {
    expect(renderConnectionCounts(COUNTS, PLAIN)).to.equal(
      lines(
        'TARGET   TENTATIVE  OPENING  CONFIRMED  CLOSING',
        'target1          1        0         12        0',
        'target2          0        0          1        1',
        '15 in all',
      ),
    );
    expect(renderConnectionCounts({ total: 0, targets: [] }, PLAIN)).to.equal('no connections\n');
    expect(renderTopSources(TOP, PLAIN)).to.equal(
      lines(
        'SOURCE       GROUP  CONNECTIONS  BYTES OF ITS SAS  PACKETS',
        '10.1.1.1         4           12           1.4 MiB     1200',
        '2001:db8::7      0       3 to 5                 -        -',
      ),
    );
  });

  it('an event is a line, without terminal codes whatever a peer is called; lost ones are told', () => {
    expect(renderEvent(EVENT, PLAIN)).to.equal(
      '2026-11-26T18:00:00.123Z     12 target-down        target lost target=target1 reason=coupling-timeout connections=3\n',
    );
    const evil = renderEvent({ ...EVENT, fields: { ike: 'a\u001B[2Jb' } }, PLAIN);
    expect(evil).not.to.contain('\u001B');
    expect(renderEvent({ instance: EVENT.instance, lost: 5 }, PLAIN)).to.equal(
      '(5 events are no longer kept)\n',
    );
  });

  it('what a command has done is one line', () => {
    expect(renderDrain(DRAIN, PLAIN)).to.equal('target1 gets no new connections of 203.0.113.10\n');
    expect(renderDrain({ ...DRAIN, maintenance: true }, PLAIN)).to.contain('(it is in maintenance)');
    expect(renderDrain({ ...DRAIN, draining: [] }, PLAIN)).to.equal('target1 gets new connections\n');
    expect(renderMaintenance(MAINTENANCE, PLAIN)).to.equal(
      'target1 is in maintenance, 3 connections; the routing host is not connected and will hear of it later\n',
    );
    expect(renderMaintenance({ ...MAINTENANCE, isOn: false, isReported: true }, PLAIN)).to.equal(
      'target1 is in service, 3 connections\n',
    );
    expect(renderRekey(REKEY, PLAIN)).to.equal(
      lines(
        'SPI       DIR  IKE    CHILD  CHARON',
        'c0ffee01  out  dvipa  web    taken',
        'c0ffee02  out  -      -      refused',
      ),
    );
  });

  it('health is one line, with the reasons, and stands in the status', () => {
    expect(renderHealth(STATUS.health, PLAIN)).to.equal(
      'degraded: target3 is down; target2 is in maintenance\n',
    );
    expect(renderHealth({ state: 'ok', warnings: [] }, PLAIN)).to.equal('ok\n');
    expect(renderStatus(STATUS, PLAIN)).to.contain('\nhealth        degraded: target3 is down;');
  });
});
