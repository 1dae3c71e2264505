import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { commandTree, everyCommand } from '../../src/cli/command-tree.ts';
import { buildProgram } from '../../src/cli/program.ts';
import type { KeysExportSnapshot, ReloadSnapshot } from '../../src/observe/snapshots.ts';
import type { Finding } from '../../src/doctor/finding.ts';
import type { TraceSnapshot } from '../../src/observe/trace-snapshot.ts';
import { TARGET_YAML } from '../config/example.ts';
import {
  COUNTS,
  DRAIN,
  DVIPAS,
  EVENT,
  MAINTENANCE,
  NUMBERING,
  REKEY,
  TOP,
} from '../observe/operator-samples.ts';
import { CONNECTIONS, DROPS, FILTERS, LIFESIZE, SAS, STATUS, TARGETS } from '../observe/samples.ts';
import { type Answer, DESCRIBED, missingForSchemas, schemaViolations } from '../support/json-schema.ts';
import { skipBecause } from '../support/summary-reporter.ts';
import { dvipa } from './run-cli.ts';

const FINDINGS: readonly Finding[] = [
  { id: 'charon', status: 'ok', about: '/run/charon.vici', found: 'strongSwan 5.9.8' },
  { id: 'clock', status: 'warn', found: 'not set by a time server', remedy: 'timedatectl set-ntp true' },
];

const TRACE: TraceSnapshot = {
  role: 'route',
  way: 'inbound',
  steps: [
    { step: 'classify', verdict: 'pass', detail: 'is it ESP to an endpoint' },
    { step: 'filter', verdict: 'drop', reason: 'filter', detail: 'rule 1 of 2' },
  ],
  outcome: { kind: 'drop', reason: 'filter' },
};

const KEYS: KeysExportSnapshot = {
  file: '/root/keys/esp_sa',
  sas: 4,
  leftOut: [{ spi: 'c0000003', algorithm: 'AES_CCM_16-256', reason: 'Wireshark does not know AES-CCM-16' }],
};

const RELOADED: ReloadSnapshot = {
  file: '/etc/dvipa/dvipa.yaml',
  isApplied: true,
  changes: [
    { path: 'dvipas[203.0.113.10].weights.target2', to: 3, effect: 'now' },
    { path: 'log.level', from: 'info', to: 'debug', effect: 'now' },
  ],
  warnings: ['203.0.113.20 is still in the settings of charon’s plugin'],
};

/** What agents answer; a command of an agent that has --json needs a sample here. */
const SAMPLES: readonly Answer[] = [
  ['dvipa status', STATUS],
  ['dvipa sas', SAS],
  ['dvipa targets', TARGETS],
  ['dvipa status', STATUS.health],
  ['dvipa dvipas', DVIPAS],
  ['dvipa connections', CONNECTIONS],
  ['dvipa connections', COUNTS],
  ['dvipa connections', TOP],
  ['dvipa numbering', NUMBERING],
  ['dvipa events', EVENT],
  ['dvipa events', { instance: EVENT.instance, lost: 5 }],
  ['dvipa rekey', REKEY],
  ['dvipa drain', DRAIN],
  ['dvipa undrain', DRAIN],
  ['dvipa maintenance', MAINTENANCE],
  ['dvipa filters', FILTERS],
  ['dvipa lifesize', LIFESIZE],
  ['dvipa drops', DROPS],
  ['dvipa doctor', FINDINGS],
  ['dvipa trace', TRACE],
  ['dvipa trace', { ...TRACE, outcome: { kind: 'dispatch', target: 'target1' } }],
  ['dvipa keys export', KEYS],
  ['dvipa reload', RELOADED],
];

/** Commands that need no agent: they are really run. `FOLDER` stands for one of the test's own. */
const RUN: readonly string[] = [
  'dvipa check-config --json --no-files FOLDER/good.yaml',
  'dvipa check-config --json --no-files FOLDER/broken.yaml',
  'dvipa doctor --json --config FOLDER/broken.yaml',
  'dvipa version --json --vici /nowhere --plugin /nowhere',
  'dvipa pki init --json --dir FOLDER/pki',
  'dvipa pki issue --json --dir FOLDER/pki --role target target1',
  'dvipa lab status --json',
];
const nameOf = (line: string) => line.replace(/ --.*/, '');

describe('JSON that dvipa prints', function () {
  this.timeout(60_000);
  let folder = '';

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'dvipa-json-'));
    writeFileSync(join(folder, 'good.yaml'), TARGET_YAML);
    writeFileSync(join(folder, 'broken.yaml'), TARGET_YAML.replace('role: target', 'role: tagret'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('docs/cli.schema.json describes every command that has --json, and no other', async () => {
    const commands = everyCommand(commandTree(buildProgram()))
      .filter(({ options }) => options.some(({ flags }) => flags.includes('--json')))
      .map(({ path }) => ['dvipa', ...path].join(' '));
    const missing = commands.filter((name) => !DESCRIBED.includes(name));
    const extra = DESCRIBED.filter((name) => !commands.includes(name));
    expect({ missing, extra }).to.deep.equal({ missing: [], extra: [] });
  });

  it('every description is held against an answer', () => {
    const held = [...SAMPLES.map(([name]) => name), ...RUN.map(nameOf)];
    expect(DESCRIBED.filter((name) => !held.includes(name))).to.deep.equal([]);
  });

  it('answers of agents have the form that docs/cli.schema.json describes, and no key that it does not', function () {
    const missing = missingForSchemas();
    if (missing !== undefined) skipBecause(this, missing);
    expect(schemaViolations(SAMPLES)).to.deep.equal([]);
  });

  it('answers of commands that need no agent have that form', async function () {
    const missing = missingForSchemas();
    if (missing !== undefined) skipBecause(this, missing);
    const answers: Answer[] = [];
    for (const line of RUN) {
      const { stdout } = await dvipa(...line.replaceAll('FOLDER', folder).split(' ').slice(1));
      answers.push([nameOf(line), JSON.parse(stdout)]);
    }
    expect(schemaViolations(answers)).to.deep.equal([]);
  });

  it('what is not of that form is found', function () {
    const missing = missingForSchemas();
    if (missing !== undefined) skipBecause(this, missing);
    const [sa] = SAS;
    const { spi: _, ...without } = sa as (typeof SAS)[number];
    const wrong: Answer[] = [
      ['dvipa sas', [{ ...sa, spi: 'C0FFEE01' }]],
      ['dvipa sas', [without]],
      ['dvipa drops', { replay: -1 }],
      ['dvipa status', { ...STATUS, role: 'router' }],
    ];
    for (const answer of wrong)
      expect(schemaViolations([answer]), JSON.stringify(answer)).to.have.lengthOf(1);
    const more: Answer[] = [['dvipa sas', [{ ...sa, colour: 'blue' }]]];
    expect(schemaViolations(more)).to.have.lengthOf(1);
    expect(schemaViolations(more, { isStrict: false })).to.deep.equal([]);
  });
});
