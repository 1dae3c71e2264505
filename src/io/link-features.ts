import { CommandError, runCommand } from './run-command.ts';

/** Offloads of an interface that are on, in ethtool's long names. Undefined: ethtool is not installed. */
export async function linkFeatures(interfaceName: string): Promise<ReadonlySet<string> | undefined> {
  try {
    const text = await runCommand('ethtool', ['--json', '-k', interfaceName]);
    const [shown] = JSON.parse(text) as Record<string, { active?: boolean } | string>[];
    return new Set(
      Object.entries(shown ?? {}).flatMap(([name, value]) =>
        typeof value === 'object' && value.active === true ? [name] : [],
      ),
    );
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  if (!(error instanceof CommandError)) return false;
  const { cause } = error;
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
}
