import { existsSync } from 'node:fs';
import { packageVersion } from '../../observe/version.ts';
import { CommandError, runCommand } from '../../io/run-command.ts';
import type { Finding } from '../finding.ts';
import { judgeAgent, type UnitFacts } from '../judge/agent.ts';
import type { Situation } from './situation.ts';

export async function lookAtAgent({ config, file, status, absence }: Situation): Promise<Finding[]> {
  return judgeAgent({
    role: config.role,
    socket: config.admin.socket,
    configFile: file,
    version: packageVersion(),
    running: status ?? { absent: absence },
    unit: await unitOf(`dvipa-${config.role}.service`),
  });
}

async function unitOf(name: string): Promise<UnitFacts | undefined> {
  if (!existsSync('/run/systemd/system')) return undefined;
  try {
    const properties = ['--property', 'LoadState,ActiveState,Result'];
    const text = await runCommand('systemctl', ['show', ...properties, name]);
    const value = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(text)?.[1] ?? '';
    return { name, load: value('LoadState'), active: value('ActiveState'), result: value('Result') };
  } catch (error) {
    if (error instanceof CommandError) return undefined;
    throw error;
  }
}
