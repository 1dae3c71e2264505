import { expect } from 'chai';
import { renderConnections } from '../../src/observe/views/connections.ts';
import { renderDrops } from '../../src/observe/views/drops.ts';
import { renderFilters } from '../../src/observe/views/filters.ts';
import { renderLifesize } from '../../src/observe/views/lifesize.ts';
import { renderReload } from '../../src/observe/views/reload.ts';
import { renderSas } from '../../src/observe/views/sas.ts';
import { renderStatus } from '../../src/observe/views/status.ts';
import { PLAIN, styleFor } from '../../src/observe/views/style.ts';
import { renderTargets } from '../../src/observe/views/targets.ts';
import { CONNECTIONS, DROPS, FILTERS, LIFESIZE, SAS, STATUS, TARGETS } from './samples.ts';

const COLOR = { hasColor: true };

function lines(...wanted: string[]): string {
  return `${wanted.join('\n')}\n`;
}

/** Without the colours that we put in ourselves. */
function strip(text: string): string {
  return ['\u001B[0m', '\u001B[1m', '\u001B[31m', '\u001B[32m', '\u001B[33m'].reduce(
    (rest, code) => rest.replaceAll(code, ''),
    text,
  );
}

describe('views', () => {
  it('the reload view shows each difference on a line, whether it is applied, and what else to know', () => {
    const weight = { path: 'dvipas[203.0.113.10].weights.target2', to: 3, effect: 'now' } as const;
    const dvipa = {
      path: 'dvipas[203.0.113.20]',
      to: { address: '203.0.113.20'.repeat(20) },
      effect: 'now',
    } as const;
    const answer = {
      file: '/etc/dvipa.yaml',
      isApplied: true,
      changes: [weight, dvipa],
      warnings: ['mind the \u001B[31mgap'],
    };
    const [head, title, first, second = '', warning] = renderReload(answer, PLAIN).split('\n');
    expect([head, title?.trimEnd(), first]).to.deep.equal([
      '/etc/dvipa.yaml: reloaded',
      'SETTING                               FROM  TO',
      'dvipas[203.0.113.10].weights.target2  -     3',
    ]);
    expect(second).to.match(/^dvipas\[203\.0\.113\.20\] +- +\{"address":"203.*\.\.\.$/);
    expect(warning).to.equal('warning: mind the \\u001b[31mgap');
    const none = { ...answer, isApplied: false, changes: [], warnings: [] };
    expect(renderReload(none, PLAIN)).to.equal(
      '/etc/dvipa.yaml: would be reloaded, nothing has changed\nno difference\n',
    );
  });

  it('the lifesize view says what was used, what is left to whom, what was learned, and why there were rekeys', () => {
    const view = renderLifesize(LIFESIZE, PLAIN);
    expect(view).to.contain('1.4 MiB of 4.0 MiB soft, 5.0 MiB hard');
    expect(view).to.contain('target1 512.0 KiB, target2 lost');
    expect(view).to.contain('bytes 2 times, 12 s ago');
    expect(view).to.match(/dvipa\/web +client1 +now +12\.50 +- +p99 500 ms +-\n/);
    expect(view).to.match(
      /dvipa\/web +client1 +1 +10\.00 > 12\.50 +in-time +48 ms +4\.1 MiB of 4\.0 MiB soft, 5\.0 MiB hard, in\n/,
    );
    expect(view).to.match(/bytes +2 +1 +1 +0\nSAs that a hard limit ended: 1\n$/);
    const nothing = { sas: [], configurations: [], rekeys: [], hardLimits: 0 };
    expect(renderLifesize(nothing, PLAIN)).to.equal('no SAs\n');
  });

  it('the status view says who this is, whom it hears, and what it did', () => {
    expect(renderStatus(STATUS, PLAIN)).to.equal(
      lines(
        'routing host  router1, dvipa 0.1.0, up 1 h 2 m',
        'health        degraded: target3 is down; target2 is in maintenance',
        'epoch         7',
        'DVIPA         203.0.113.10, endpoint 192.0.2.10, inbound filter filter, served by target1, target2',
        'charon        connected, 5.9.8, instance 00112233445566ff',
        'coupling      target1 198.51.100.11 up, heard 120 ms ago',
        'coupling      target3 198.51.100.13 down, never heard',
        'inbound       1200 packets, 1.4 MiB, 7 opened here',
        'outbound      0 packets, 0 B, 0 sealed here',
        'link          3 packets in, 1190 out',
        'dropped       10 packets (dvipa drops)',
        'driver        batch, gso on, gro off, 1.0 packets a system call in, 17.0 out',
        'workers       2 threads, 31 vectors shared, 1 times without processors',
        'sending       640 packets to peers, 600 of them in 40 runs',
        'opening       7 of 40 verified packets genuine, 2 in place of targets, 1 waiting, 1 SA attacked',
        'budget        10000 packets a second, 5 refused; 4 of 1024 places for numbers under way',
      ),
    );
  });

  it('the status view of a target without its routing host says what is missing', () => {
    const { charon: _charon, opening: _opening, ...target } = STATUS;
    const text = renderStatus({ ...target, role: 'target', host: 'target1', epoch: 0, dvipas: [] }, PLAIN);
    expect(text).to.match(/^target {4}target1,/);
    expect(text).to.contain('epoch     not known yet\n');
    expect(text).not.to.match(/charon|opening/);
    expect(renderStatus({ ...STATUS, charon: { connected: false } }, PLAIN)).to.contain(
      'charon        not connected\n',
    );
  });

  it('the SA view shows use against limits, its state at targets, why one refused it, and its way', () => {
    expect(renderSas(SAS, PLAIN)).to.equal(
      lines(
        'SPI       DIR  DVIPA         PEER              MODE         NAME       GROUP  ALGORITHM                      BYTES                                  PACKETS          IDLE  STATE              ON                              WAY                OPENED',
        'c0ffee01  in   203.0.113.10  192.0.2.101:4500  tunnel, udp  dvipa/web      4  AES_GCM_16-128                 1.4 MiB of 4.0 MiB soft, 5.0 MiB hard  1200            40 ms  serving, attacked  target1,target2 failed:target3  -                       7',
        '0000abcd  out  203.0.113.10  192.0.2.101:4500  tunnel, udp  -              4  AES_CBC-128/HMAC_SHA2_256_128  512 B                                  4 of 1000 hard      -  installing         -                               exclusive:target1       -',
        'c0ffee01 failed on target3: algorithm-not-there',
      ),
    );
  });

  it('the SA view of a target, which knows no others, names that target', () => {
    const { targets: _, isAttacked: __, ...sa } = SAS[0]!;
    expect(renderSas([{ ...sa, installedOn: ['target1'] }], PLAIN)).to.contain('  serving  target1  -');
  });

  it('an attack is shown in red', () => {
    expect(renderSas(SAS, COLOR)).to.contain('\u001B[31mserving, attacked\u001B[0m');
    expect(renderStatus(STATUS, COLOR)).to.contain('\u001B[31m1 SA attacked\u001B[0m');
  });

  it('the target view shows a target that was never heard', () => {
    expect(renderTargets(TARGETS, PLAIN)).to.equal(
      lines(
        'TARGET   ADDRESS        STATE  NEW CONNECTIONS        HEARD  SAS  CONNECTIONS  EPOCH  INCARNATION',
        'target1  198.51.100.11  up     none of 203.0.113.10  120 ms    4           12      7  18446744073709551615',
        'target3  198.51.100.13  down   yes                        -    0            0      0  -',
      ),
    );
  });

  it('the connection view names the protocol', () => {
    expect(renderConnections(CONNECTIONS, PLAIN)).to.equal(
      lines(
        'PROTOCOL  SOURCE          DESTINATION      GROUP  TARGET   STATE      FORGOTTEN IN',
        'tcp       10.1.1.1:40000  203.0.113.10:80      4  target2  confirmed       1 m 1 s',
      ),
    );
  });

  it('the filter view shows rules in order, with what each decided about', () => {
    expect(renderFilters(FILTERS, PLAIN)).to.equal(
      lines(
        'DVIPA         FILTERED   RULE  ACTION         PROTOCOL  SOURCE       PORTS       TO PORTS  IPSEC  CLEAR',
        '203.0.113.10  here          1  require-ipsec  tcp       10.1.0.0/16  1024-65535  22           12      3',
        '203.0.113.10  here          2  deny           132       any          any         any           0      0',
        '203.0.113.10  here          -  else deny      -         -            -           -             7      0',
        '2001:db8::10  elsewhere     -  else permit    -         -            -           -             0      0',
      ),
    );
  });

  it('the drop view leaves out what did not happen', () => {
    expect(renderDrops(DROPS, PLAIN)).to.equal(
      lines('REASON        PACKETS', 'replay              2', 'tunnel-check       11'),
    );
  });

  it('a view of nothing is one line', () => {
    expect(renderSas([], PLAIN)).to.equal('no SAs\n');
    expect(renderTargets([], PLAIN)).to.equal('no targets\n');
    expect(renderConnections([], PLAIN)).to.equal('no connections\n');
    expect(renderFilters([], PLAIN)).to.equal('no DVIPA\n');
    expect(renderDrops({ icv: 0 }, PLAIN)).to.equal('nothing dropped\n');
  });

  it('a coloured view has the same text in the same columns', () => {
    expect(renderTargets(TARGETS, COLOR))
      .to.contain('\u001B[32mup\u001B[0m')
      .and.contain('\u001B[31mdown\u001B[0m');
    expect(strip(renderTargets(TARGETS, COLOR))).to.equal(renderTargets(TARGETS, PLAIN));
    expect(strip(renderSas(SAS, COLOR))).to.equal(renderSas(SAS, PLAIN));
    expect(strip(renderStatus(STATUS, COLOR))).to.equal(renderStatus(STATUS, PLAIN));
  });

  it('no view passes a control character of a name on to the terminal', () => {
    const evil = 'x\u001B]0;owned\u0007\n\u009B31m';
    const texts = [COLOR, PLAIN].flatMap((style) => [
      renderSas([{ ...SAS[0]!, childName: evil }], style),
      renderSas([{ ...SAS[0]!, targets: [{ host: 'a', state: 'failed', reason: evil }] }], style),
      renderTargets([{ ...TARGETS[0]!, host: evil }], style),
      renderStatus({ ...STATUS, host: evil, charon: { connected: true, version: evil } }, style),
    ]);
    for (const text of texts) {
      expect(text).to.contain('owned');
      expect(strip(text).replaceAll('\n', '')).not.to.match(/\p{Cc}/u);
    }
  });

  it('colour needs a terminal, and NO_COLOR or a dumb terminal switch it off', () => {
    expect(styleFor(true, {}).hasColor).to.equal(true);
    expect(styleFor(true, { NO_COLOR: '' }).hasColor).to.equal(true);
    expect(styleFor(true, { NO_COLOR: '1' }).hasColor).to.equal(false);
    expect(styleFor(true, { TERM: 'dumb' }).hasColor).to.equal(false);
    expect(styleFor(false, {}).hasColor).to.equal(false);
  });
});
