import { packageVersion } from '../../observe/version.ts';
import { systemClock } from '../../base/clock.ts';
import {
  connect,
  listPlugin,
  pluginVersion,
  version,
  ViciConnection,
  wipePluginSa,
} from '../../vici/index.ts';
import type { Finding } from '../finding.ts';
import { type Answer, judgeCharon, type PluginFacts } from '../judge/charon.ts';
import { reasonOf } from './outcome.ts';
import { dvipasOf, endpointsOf, type Situation } from './situation.ts';

const TIMEOUT_MS = 3000;

export async function lookAtCharon({ config }: Situation): Promise<Finding[]> {
  if (config.role === 'target') return [];
  const { vici, plugin } = config.charon;
  const [stock, ours] = await Promise.all([
    ask(vici, async (connection) => ({ version: (await version(connection)).version })),
    ask(plugin, pluginFacts),
  ]);
  return judgeCharon({
    version: packageVersion(),
    vici: { socket: vici, answer: stock },
    plugin: { socket: plugin, answer: ours },
    dvipas: dvipasOf(config),
    endpoints: endpointsOf(config),
  });
}

async function pluginFacts(connection: ViciConnection): Promise<PluginFacts> {
  const told = await pluginVersion(connection);
  // Its list has the keys of all SAs: they are wiped where they come in.
  const { dvipas, endpoints, sas } = await listPlugin(connection, () => {});
  for (const sa of sas) wipePluginSa(sa);
  const { plugin, daemon, delegates } = told;
  return { version: plugin, daemon, delegates, dvipas, endpoints };
}

async function ask<T>(
  socket: string,
  conversation: (connection: ViciConnection) => Promise<T>,
): Promise<Answer<T>> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const connection = new ViciConnection(await connect(`unix://${socket}`, signal), {
      clock: systemClock,
      timeoutMs: TIMEOUT_MS,
    });
    try {
      return { is: await conversation(connection) };
    } finally {
      connection.close();
    }
  } catch (error) {
    return { unreachable: causeOf(error) };
  }
}

function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : '';
  return `${reasonOf(error)}${cause}`;
}
