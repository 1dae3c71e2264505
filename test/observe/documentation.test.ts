import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { DROP_REASONS } from '../../src/base/verdict.ts';
import { parseConfig } from '../../src/config/index.ts';
import { EVENT_NAMES } from '../../src/observe/events.ts';

function read(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
}

describe('documentation', () => {
  it('docs/drops.md explains every drop reason, and no other', () => {
    const explained = [...read('docs/drops.md').matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, reason]) => reason);
    expect(explained).to.have.members(DROP_REASONS.slice(1));
  });

  it('docs/events.md explains every event, and no other', () => {
    const explained = [...read('docs/events.md').matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, name]) => name);
    expect(explained).to.have.members(EVENT_NAMES);
  });

  it('docs/configuration.md shows files that are valid, one of each role', () => {
    const files = [...read('docs/configuration.md').matchAll(/^```yaml\n(.*?)^```/gms)].map(
      ([, text]) => text ?? '',
    );
    expect(files.map((text) => parseConfig(text, 'dvipa.yaml').role)).to.deep.equal(['route', 'target']);
  });

  it('docs/adr/README.md is a table of all records, in order, under their numbers', () => {
    const [, table = ''] = read('docs/adr/README.md').split(/^\|---.*\n/m);
    const listed = table
      .trimEnd()
      .split('\n')
      .map((row) => /^\| \[\d+\]\((.+?)\) \|/.exec(row)?.[1]);
    const folder = new URL('../../docs/adr/', import.meta.url);
    expect(listed).to.deep.equal(
      readdirSync(folder)
        .filter((name) => /^\d/.test(name))
        .toSorted(),
    );
    for (const title of listed) {
      const number = Number(title?.slice(0, 4));
      expect(read(`docs/adr/${title}`)).to.match(new RegExp(`^# ${number}\\. `));
    }
  });

  it('docs/claims.md names files that are there, and tests that are in them', () => {
    const claims = read('docs/claims.md');
    const paths = [...claims.matchAll(/`((?:src|test|plugins)\/[^`]+)`/g)].map(([, path]) => path as string);
    expect(paths).to.have.lengthOf.above(50);
    for (const path of paths) expect(() => read(path), path).not.to.throw();
    const named = [...claims.matchAll(/`(test\/[^`]+)` "([^"]+)"/g)];
    expect(named).to.have.lengthOf.above(15);
    for (const [, path, name] of named) expect(read(path as string), path).to.contain(name);
  });
});
