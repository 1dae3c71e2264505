import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type { DropReason } from '../../src/base/verdict.ts';
import { hostFolder } from '../../src/lab/host-files.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { Cluster, missingForCluster } from './support/cluster.ts';
import { type Cell, FIRST_PORT, groupsOf, SUITES, WRAPPINGS, describeCell } from './support/matrix/cells.ts';
import { peerConf } from './support/matrix/charon-conf.ts';
import { PeerRun } from './support/matrix/run.ts';
import { TSX, Worker } from './support/matrix/worker-client.ts';

const only = process.env['MX'] ?? '';
const cells: Cell[] = (['kernel', 'libipsec'] as const)
  .flatMap((peer) =>
    WRAPPINGS.flatMap((wrapping) =>
      SUITES.filter(({ isShortest }) => isShortest).map((suite) => ({ peer, wrapping, suite, port: 0 })),
    ),
  )
  .map((cell, index) => ({ ...cell, port: FIRST_PORT + index }))
  .filter((cell) => new RegExp(only).test(describeCell(cell)));

const both =
  'aes128-aes192-aes256-aes128ctr-aes192ctr-aes256ctr-null-sha1-sha256-sha384-sha512-aesxcbc-aescmac-esn-noesn';
const aead = SUITES.filter(({ integrity }) => integrity === undefined).map(({ proposal }) => proposal);
const esp_proposals = `${aead.join('-')}-esn-noesn, ${both}`;

describe('matrix', function () {
  this.timeout(1_200_000);
  let cluster: Cluster;
  before(async () => {
    expect(missingForCluster(PROJECT_ROOT)).to.deep.equal([]);
    cluster = await Cluster.up('mx', {
      scenario: 'matrix',
      clients: 1,
      kernels: 1,
      targets: 2,
      tunnels: false,
      servers: false,
      values: { esp_proposals },
    });
    const server = fileURLToPath(new URL('./support/matrix/file-server.ts', import.meta.url));
    const dvipas = process.env['MX6'] ? ['203.0.113.10', '2001:db8:203::10'] : ['203.0.113.10'];
    for (const target of cluster.targets)
      cluster.lab
        .host(target)
        .spawn('files', [
          process.execPath,
          '--import',
          TSX,
          server,
          String(FIRST_PORT),
          String(cells.at(-1)!.port - FIRST_PORT + 1),
          ...dvipas,
        ]);
  });
  after(async () => {
    await cluster?.down();
  });
  for (const [peer, name] of [
    ['kernel', 'kernel1'],
    ['libipsec', 'client1'],
  ] as const) {
    it(peer, async () => {
      const mine = groupsOf(cells.filter((cell) => cell.peer === peer));
      if (mine.length === 0) return;
      const host = cluster.lab.host(name);
      const plan = cluster.lab.plan.find((p) => p.name === name)!;
      writeFileSync(
        join(hostFolder(cluster.lab.options.folder, name), 'swanctl/matrix.conf'),
        peerConf(mine, plan, cluster.lab.scenario),
      );
      let t = performance.now();
      const lap = (what: string) => {
        console.log(what, Math.round(performance.now() - t));
        t = performance.now();
      };
      await host.must(['swanctl', '--load-all', '--file', '/etc/swanctl/matrix.conf']);
      lap('load');
      const worker = await Worker.start(host, cluster.file(`worker-${name}`));
      lap('worker');
      const run = await PeerRun.open({ cluster, plan, worker });
      for (const group of mine) {
        await run.runGroup(group, async () => {
          lap(`chunk of ${group.name} (${group.cells.length})`);
        });
        if (peer === 'kernel')
          console.log(
            (
              await host.exec([
                'sh',
                '-c',
                'grep -v "[^0-9]0$" /proc/net/xfrm_stat; ip -s xfrm state | grep failed | sort | uniq -c',
              ])
            ).stdout,
          );
        console.log(await cluster.allDrops());
      }
      run.close();
      for (const [cell, fault] of run.faults) console.log(describeCell(cell), ':', fault);
      const faults: DropReason[] = [];
      expect(faults).to.deep.equal([]);
      expect(run.faults.size).to.equal(0);
    });
  }
});
