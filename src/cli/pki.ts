import { Command, InvalidArgumentError, Option } from 'commander';
import { withExamples } from './examples.ts';
import { CommandError } from './exit.ts';

const DEFAULT_FOLDER = '/etc/dvipa/pki';
const DAYS = 1095;

interface PkiOptions {
  readonly dir: string;
  readonly json?: true;
}

interface IssueOptions extends PkiOptions {
  readonly role: 'route' | 'target';
  readonly days: number;
}

/** `dvipa pki`: the certificates of the coupling channel. The authority's key is needed on no host of the cluster. */
export function pkiCommand(): Command {
  const init = new Command('init')
    .description('make the certificate authority: ca.pem, ca.key')
    .option('--dir <folder>', 'where the files are', DEFAULT_FOLDER)
    .option('--json', 'print JSON')
    .action(async (options: PkiOptions) => {
      const { initAuthority } = await import('../io/pki.ts');
      print(await orExplain(initAuthority(options.dir)), options);
    });
  const issue = new Command('issue')
    .description("make a host's key and certificate: HOST.pem, HOST.key")
    .argument('<host>', 'the host name in the configuration')
    .addOption(
      new Option('--role <role>', 'what the host does; required')
        .choices(['route', 'target'])
        .makeOptionMandatory(),
    )
    .option('--dir <folder>', 'where the authority is', DEFAULT_FOLDER)
    .option('--days <days>', 'how long the certificate is valid', parseDays, DAYS)
    .option('--json', 'print JSON')
    .action(async (host: string, options: IssueOptions) => {
      const { issueCertificate } = await import('../io/pki.ts');
      const { dir, role, days } = options;
      print(await orExplain(issueCertificate(dir, { role, host }, days)), options);
    });
  const pki = new Command('pki')
    .description("certificates of the coupling channel, made with strongSwan's pki")
    .addCommand(withExamples(init, ['dvipa pki init --dir ./pki', 'once, on a safe host']))
    .addCommand(
      withExamples(
        issue,
        ['dvipa pki issue --role route router1', 'for the routing host'],
        ['dvipa pki issue --role target --days 90 target1', 'for a target, for three months'],
      ),
    );
  return withExamples(
    pki,
    ['dvipa pki init', 'first the authority'],
    ['dvipa pki issue --role target target1', 'then one certificate for each host'],
  );
}

function parseDays(text: string): number {
  const days = Number(text);
  if (!/^\d{1,5}$/.test(text) || days < 1 || days > 36_500)
    throw new InvalidArgumentError('expected 1 to 36500 days.');
  return days;
}

function print(files: { readonly key: string; readonly certificate: string }, options: PkiOptions): void {
  const text = options.json ? JSON.stringify(files, null, 2) : `${files.certificate}\n${files.key}`;
  process.stdout.write(`${text}\n`);
}

async function orExplain<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw new CommandError(error instanceof Error ? error.message : String(error));
  }
}
