import { expect } from 'chai';
import { type Reloadable, Reloader } from '../../src/agents/reload.ts';
import { ConfigError, parseConfig, type RouteConfig } from '../../src/config/index.ts';
import { ROUTE_YAML } from '../config/example.ts';
import type { Log } from '../../src/observe/log.ts';
import { silent } from '../support/cluster/router.ts';

const BEFORE = parseConfig(ROUTE_YAML, 'dvipa.yaml') as RouteConfig;

/** An agent that notes what it is told; `text`: of its file. */
function setUp(refused: readonly string[] = []) {
  const said: string[] = [];
  const file = { text: ROUTE_YAML };
  const running: Reloadable<RouteConfig> = {
    check: async (_after, isDryRun) => {
      said.push(isDryRun ? 'check dry' : 'check');
      return { refused, warnings: ['something else is to do'] };
    },
    apply: async ({ lifesize }) => {
      said.push('apply');
      await new Promise((resolve) => setImmediate(resolve));
      said.push(`applied ${lifesize.percentage}`);
    },
  };
  const source = {
    file: 'dvipa.yaml',
    load: () => parseConfig(file.text, 'dvipa.yaml'),
    setLog: ({ level }: RouteConfig['log']) => said.push(`log ${level}`),
  };
  const events: unknown[] = [];
  const note: Log['info'] = (_message, fields) => {
    if (fields?.event !== undefined) events.push(fields.event);
  };
  const log: Log = { ...silent, info: note, error: note };
  return { said, events, file, reloader: new Reloader({ source, current: BEFORE, running, log }) };
}

async function failure(run: Promise<unknown>): Promise<string> {
  try {
    await run;
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('nothing was refused');
}

const percentage = (value: number) => `${ROUTE_YAML}lifesize: { percentage: ${value} }\n`;

describe('a reload', () => {
  it('goes by the file from then on, and by the one after that as it differs from it', async () => {
    const { said, file, reloader } = setUp();
    file.text = `${percentage(20)}log: { level: debug }\n`;
    const answer = await reloader.run(false);
    expect(answer).to.deep.include({ isApplied: true, warnings: ['something else is to do'] });
    expect(answer.changes.map(({ path, from, to }) => [path, from, to])).to.deep.equal([
      ['lifesize.percentage', 10, 20],
      ['log.level', 'info', 'debug'],
    ]);
    expect(said).to.deep.equal(['check', 'apply', 'applied 20', 'log debug']);
    expect((await reloader.run(false)).changes).to.deep.equal([]);
  });

  it('is told as an event, and so is one that is refused; a dry run is not', async () => {
    const { events, file, reloader } = setUp();
    file.text = percentage(20);
    await reloader.run(true);
    await reloader.run(false);
    file.text = 'nonsense';
    await failure(reloader.run(true));
    await failure(reloader.run(false));
    expect(events).to.deep.equal(['reloaded', 'reload-refused']);
  });

  it('that is dry shows the difference, and applies nothing', async () => {
    const { said, file, reloader } = setUp();
    file.text = percentage(20);
    for (let i = 0; i < 2; i++) {
      const { isApplied, changes } = await reloader.run(true);
      expect([isApplied, changes.length]).to.deep.equal([false, 1]);
    }
    expect(said).to.deep.equal(['check dry', 'check dry']);
  });

  it('of a wrong file is refused with every place', async () => {
    const { said, file, reloader } = setUp();
    file.text = percentage(90).replace('round-robin', 'random');
    expect(await failure(reloader.run(false))).to.match(
      /^not reloaded, nothing has changed\ndvipa\.yaml:10:19: .*random.*\ndvipa\.yaml:21:25: lifesize\.percentage: 90, .*$/,
    );
    expect(said).to.deep.equal([]);
    expect(() => parseConfig(file.text, 'dvipa.yaml')).to.throw(ConfigError);
  });

  it('with one change that needs a restart changes nothing else either, and names all that do', async () => {
    const { said, file, reloader } = setUp();
    file.text = percentage(20).replace('outside0', 'eth1').replace('198.51.100.12', '198.51.100.13');
    expect(await failure(reloader.run(false))).to.equal(
      [
        'not reloaded, nothing has changed',
        'outside.interface: "outside0" to "eth1" needs a restart of the agent',
        'targets[target2].address: "198.51.100.12" to "198.51.100.13" needs a restart of the agent',
      ].join('\n'),
    );
    expect([said, reloader.current]).to.deep.equal([[], BEFORE]);
  });

  it('that the running agent refuses changes nothing, in a dry run neither', async () => {
    const { said, file, reloader } = setUp(['dvipas: 203.0.113.10 is still in use']);
    file.text = percentage(20);
    for (const isDryRun of [false, true])
      expect(await failure(reloader.run(isDryRun))).to.contain('\ndvipas: 203.0.113.10 is still in use');
    expect([said, reloader.current]).to.deep.equal([['check', 'check dry'], BEFORE]);
  });

  it('waits for the one before, whatever becomes of that', async () => {
    const { said, file, reloader } = setUp();
    file.text = percentage(20);
    const first = reloader.run(false);
    const second = reloader.run(false);
    expect([(await first).changes.length, (await second).changes.length]).to.deep.equal([1, 0]);
    file.text = 'nonsense';
    const wrong = failure(reloader.run(false));
    const after = reloader.run(true).catch(() => 'also wrong');
    expect([await wrong, await after]).to.have.lengthOf(2);
    expect(said.filter((each) => each === 'apply')).to.have.lengthOf(2);
  });
});
