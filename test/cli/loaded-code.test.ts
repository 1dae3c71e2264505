import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { MAIN, resultOf, spawnScript } from './run-cli.ts';

/** Packages that a help may load. All others wait until a command acts. */
const LIGHT = ['commander'];
/** Folders of ours of which a help may load something; what is heavy in them needs other packages. */
const LIGHT_FOLDERS = ['base', 'cli', 'config', 'observe'];

/** Files that a command line loads, by V8's own account (NODE_V8_COVERAGE); of packages their names. */
async function loadedBy(args: readonly string[]): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'dvipa-loaded-'));
  try {
    const child = spawnScript(MAIN, args, { NODE_V8_COVERAGE: folder });
    const { code } = await resultOf(child);
    expect(code, args.join(' ')).to.equal(0);
    const urls = readdirSync(folder).flatMap((name) => {
      const { result } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as {
        result: { url: string }[];
      };
      return result.map(({ url }) => url);
    });
    return [...new Set(urls.flatMap((url) => partOf(url) ?? []))];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** `commander` of a package, `cli/sas.ts` of ours; undefined: what runs the test, and Node.js itself. */
function partOf(url: string): string | undefined {
  const [, name] = /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url) ?? [];
  if (name !== undefined) return ['tsx', 'esbuild', 'get-tsconfig'].includes(name) ? undefined : name;
  return /\/src\/([^?]+)/.exec(url)?.[1];
}

describe('start of dvipa', function () {
  this.timeout(60_000);

  it('no help loads more than it needs: no packages but commander, no agents, no lab', async () => {
    const loaded = await loadedBy(['--help']);
    expect(loaded).to.include.members([
      'commander',
      'cli/program.ts',
      'cli/pki.ts',
      'cli/lab.ts',
      'cli/keys.ts',
    ]);
    const heavy = loaded.filter(
      (part) => !LIGHT.includes(part) && !LIGHT_FOLDERS.includes(part.split('/')[0] as string),
    );
    expect(heavy).to.deep.equal([]);
  });

  it('a command that acts loads what it acts with', async () => {
    expect(await loadedBy(['completion', 'bash'])).to.include('cli/completion/bash.ts');
  });
});
