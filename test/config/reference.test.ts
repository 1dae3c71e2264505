import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { object } from '../../src/config/fields.ts';
import { parseConfig } from '../../src/config/index.ts';
import { commentedExample, uncommented } from '../../src/config/reference/commented-example.ts';
import { factsOf } from '../../src/config/reference/facts.ts';
import { PAGE, referenceFiles } from '../../src/config/reference/files.ts';
import { withTables } from '../../src/config/reference/option-table.ts';
import { describedKeys, flatten, type Option, optionsOf, ROLES } from '../../src/config/reference/options.ts';

function read(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
}

/** Where `option` is in a file: the first entry of every list. */
function placeOf({ path }: Option): (string | number)[] {
  return path.replaceAll('[]', '.0').split('.');
}

function valueAt(value: unknown, place: readonly (string | number)[]): unknown {
  let at = value;
  for (const key of place) at = (at as Record<string, unknown> | undefined)?.[key];
  return at;
}

/** `value` with `part` at `place`, sections made where there are none. */
function withPart(value: unknown, place: readonly (string | number)[], part: unknown): unknown {
  const whole: unknown = structuredClone(value);
  let at = whole as Record<string, unknown>;
  for (const key of place.slice(0, -1)) at = (at[key] ??= {}) as Record<string, unknown>;
  at[String(place.at(-1))] = part;
  return whole;
}

describe('what is made from the schema of the configuration', () => {
  for (const [path, text] of referenceFiles(read(PAGE))) {
    it(`${path} is as the schema says (else: npm run docs)`, () => expect(read(path)).to.equal(text));
  }

  it('docs/configuration.md keeps its prose, and nothing of an old table', () => {
    const stale = read(PAGE).replace('| `role` |', '| `rule` |');
    expect(stale).to.not.equal(read(PAGE));
    expect(withTables(stale)).to.equal(read(PAGE));
    expect(withTables(stale.replace('## Clear text', '## Clear words'))).to.contain('## Clear words');
    expect(() => withTables('# Configuration\n')).to.throw('no place for the table');
  });

  it('an option that does not say what it means, holds without it, or takes to change, is refused', () => {
    const described = z.string().meta({ kind: 'word', description: 'A word.', reload: 'hot' });
    const keys = (schema: z.ZodType) => describedKeys(object({ word: schema })).map(({ path }) => path);
    expect(keys(described)).to.deep.equal(['word']);
    expect(() => keys(described.meta({ description: undefined }))).to.throw('word: has no description');
    expect(() => keys(described.meta({ reload: undefined }))).to.throw(
      'word: does not say whether a change needs a restart',
    );
    expect(() => keys(described.optional())).to.throw('word: has neither a default nor words');
    expect(() => keys(described.meta({ kind: undefined }))).to.throw('no words for the values of');
  });
});

for (const role of ROLES) {
  const options = flatten(optionsOf(role));
  const example = commentedExample(role);

  describe(`commented example of role ${role}`, () => {
    it('is taken by the agent as it is, and with everything that is commented out', () => {
      expect(parseConfig(example, 'dvipa.yaml').role).to.equal(role);
      expect(parseConfig(uncommented(example), 'dvipa.yaml').role).to.equal(role);
    });

    it('names the schema in its first line, as the YAML language server wants it', () => {
      const [, schema = ''] = /^# yaml-language-server: \$schema=(\S+)\n/.exec(example) ?? [];
      const place = new URL(schema, new URL('../../docs/examples/', import.meta.url));
      expect(JSON.parse(readFileSync(place, 'utf8'))).to.have.property('definitions');
    });

    it('has only what is required, and commented out every other option', () => {
      const [bare, whole]: unknown[] = [parse(example), parse(uncommented(example))];
      for (const option of options) {
        const place = placeOf(option);
        expect(valueAt(whole, place), option.path).to.not.equal(undefined);
        // What is required in a section that is not there is not there either.
        const isThere = valueAt(bare, place.slice(0, -1)) !== undefined && option.isRequired;
        expect(valueAt(bare, place) !== undefined, option.path).to.equal(isThere);
      }
    });

    it('has the meaning, the values and the default of each option before it', () => {
      const lines = example.split('\n');
      let at = 0;
      for (const option of options) {
        const key = new RegExp(`^ *#?(- )?${option.key}:`);
        const line = lines.findIndex((text, i) => i >= at && key.test(text));
        const comments =
          lines
            .slice(0, line)
            .join('\n')
            .split(/\n(?! *# )/)
            .at(-1) ?? '';
        const said = comments
          .split('\n')
          .map((text) => text.replace(/^ *# /, ''))
          .join(' ');
        expect(said, option.path).to.contain(`${option.description} [${factsOf(option)}]`);
        at = line + 1;
      }
    });

    it('shows defaults that are the ones that hold: a default that is written out changes nothing', () => {
      const defaults = options.filter((option) => option.default !== undefined);
      expect(defaults).to.have.lengthOf.above(5);
      for (const option of defaults) {
        const bare: unknown = parse(example);
        // switch_back is refused with any other method.
        const base =
          option.key === 'switch_back' ? withPart(bare, ['dvipas', 0, 'distribution'], 'hot-standby') : bare;
        const written = withPart(base, placeOf(option), option.default);
        expect(parseConfig(stringify(written), 'dvipa.yaml'), option.path).to.deep.equal(
          parseConfig(stringify(base), 'dvipa.yaml'),
        );
      }
    });
  });
}
