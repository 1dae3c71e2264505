import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { commandTree, everyCommand } from '../../src/cli/command-tree.ts';
import { buildProgram } from '../../src/cli/program.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';

const FOLDERS = ['.', 'docs', 'docs/adr', 'plugins/node', 'plugins/strongswan/kernel-dvipa'];
const PAGES = FOLDERS.flatMap((folder) =>
  readdirSync(join(PROJECT_ROOT, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name)),
);

function read(path: string): string {
  return readFileSync(join(PROJECT_ROOT, path), 'utf8');
}

/** What stands in backquotes, and in blocks. */
function codeOf(page: string): string[] {
  const text = read(page);
  const spans = [...text.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code as string);
  const lines = text.split('\n').filter((line) => /^ {4}\S/.test(line));
  return [...spans, ...lines.map((line) => line.trim().replace(/ +# .*/, ''))];
}

/** Each match with the page that it is on, so that a failure says where. */
function named(pattern: RegExp): { page: string; name: string }[] {
  return PAGES.flatMap((page) =>
    codeOf(page).flatMap((code) =>
      [...code.matchAll(pattern)].map(([, name]) => ({ page, name: name as string })),
    ),
  );
}

/** As the pages' readers make them of headings. */
function anchorsOf(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    (heading as string)
      .toLowerCase()
      .replace(/[^a-z0-9 _-]/g, '')
      .replaceAll(' ', '-'),
  );
}

describe('documents', () => {
  it('link to pages, and to headings in them, that are there', () => {
    const links = PAGES.flatMap((page) =>
      [...read(page).matchAll(/\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)/g)].map(([, to = '', anchor = '']) => ({
        page,
        to: to === '' ? page : join(dirname(page), to),
        anchor,
      })),
    );
    expect(links).to.have.lengthOf.above(150);
    expect(links.filter(({ to }) => !existsSync(join(PROJECT_ROOT, to)))).to.deep.equal([]);
    expect(links.filter(({ to, anchor }) => anchor !== '' && !anchorsOf(to).includes(anchor))).to.deep.equal(
      [],
    );
  });

  it('name files of the repository that are there', () => {
    const places =
      /(?<![\w/.-])((?:src|test|scripts|plugins|packaging|strongswan-conf|docs)\/[\w./-]*\w)(?![\w*/-])/g;
    const paths = named(places).filter(({ name }) => !/\/[A-Z]+\b(?!\.md)/.test(name));
    expect(paths).to.have.lengthOf.above(300);
    expect(paths.filter(({ name }) => !existsSync(join(PROJECT_ROOT, name)))).to.deep.equal([]);
  });

  it('name commands that there are: of make, npm and dvipa', () => {
    const makefile = read('Makefile');
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const dvipa = new Set(everyCommand(commandTree(buildProgram())).map(({ path }) => path[0]));
    const made = named(/^make ([a-z][a-z-]*)/g);
    expect(made).to.have.lengthOf.above(20);
    expect(made.filter(({ name }) => !new RegExp(`^${name}:`, 'm').test(makefile))).to.deep.equal([]);
    expect(named(/^npm run ([a-z:]+)/g).filter(({ name }) => scripts[name] === undefined)).to.deep.equal([]);
    const typed = named(/^(?:npx )?dvipa ([a-z][a-z-]*)/g);
    expect(typed).to.have.lengthOf.above(150);
    expect(typed.filter(({ name }) => !dvipa.has(name))).to.deep.equal([]);
  });
});
