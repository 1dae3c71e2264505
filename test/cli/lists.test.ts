import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type AdminServer, startAdminServer } from '../../src/io/admin-server.ts';
import type { AdminHandlers } from '../../src/observe/admin-answers.ts';
import { renderConnections } from '../../src/observe/views/connections.ts';
import { renderDvipas } from '../../src/observe/views/dvipas.ts';
import { renderDrops } from '../../src/observe/views/drops.ts';
import { renderFilters } from '../../src/observe/views/filters.ts';
import { renderLifesize } from '../../src/observe/views/lifesize.ts';
import { renderNumbering } from '../../src/observe/views/numbering.ts';
import { renderSas } from '../../src/observe/views/sas.ts';
import { renderStatus } from '../../src/observe/views/status.ts';
import { PLAIN } from '../../src/observe/views/style.ts';
import { renderTargets } from '../../src/observe/views/targets.ts';
import { COUNTS, DVIPAS, NUMBERING, TOP } from '../observe/operator-samples.ts';
import { CONNECTIONS, DROPS, FILTERS, LIFESIZE, SAS, STATUS, TARGETS } from '../observe/samples.ts';
import { dvipa } from './run-cli.ts';

describe('dvipa lists', function () {
  this.timeout(30_000);
  let folder = '';
  let socket = '';
  let server: AdminServer;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'dvipa-cli-'));
    socket = join(folder, 'route.sock');
    const handlers: AdminHandlers = {
      status: () => STATUS,
      sas: () => SAS,
      targets: () => TARGETS,
      dvipas: () => DVIPAS,
      connections: async () => CONNECTIONS,
      'connection-counts': async () => COUNTS,
      'connection-top': async () => TOP,
      numbering: () => NUMBERING,
      filters: () => FILTERS,
      lifesize: () => LIFESIZE,
      drops: () => DROPS,
    };
    server = await startAdminServer(socket, handlers);
  });

  after(async () => {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const lists = [
    ['status', STATUS, renderStatus(STATUS, PLAIN)],
    ['dvipas', DVIPAS, renderDvipas(DVIPAS, PLAIN)],
    ['numbering', NUMBERING, renderNumbering(NUMBERING, PLAIN)],
    ['sas', SAS, renderSas(SAS, PLAIN)],
    ['targets', TARGETS, renderTargets(TARGETS, PLAIN)],
    ['connections', CONNECTIONS, renderConnections(CONNECTIONS, PLAIN)],
    ['filters', FILTERS, renderFilters(FILTERS, PLAIN)],
    ['lifesize', LIFESIZE, renderLifesize(LIFESIZE, PLAIN)],
    ['drops', DROPS, renderDrops(DROPS, PLAIN)],
  ] as const;
  for (const [name, snapshot, view] of lists) {
    it(`dvipa ${name} prints a view, and with --json what the agent said`, async () => {
      const [text, json] = await Promise.all([
        dvipa(name, '--socket', socket),
        dvipa(name, '--json', '--socket', socket),
      ]);
      expect(text).to.deep.equal({ code: 0, signal: null, stdout: view, stderr: '' });
      expect(json).to.include({ code: 0, stderr: '' });
      expect(JSON.parse(json.stdout)).to.deep.equal(snapshot);
    });
  }

  it('dvipa exits with 3 when no agent answers', async () => {
    const result = await dvipa('status', '--socket', join(folder, 'none.sock'));
    expect(result).to.deep.equal({
      code: 3,
      signal: null,
      stdout: '',
      stderr: `dvipa: ${folder}/none.sock: no such socket, is the agent running?\n`,
    });
  });
});
