import type { Command } from 'commander';
import { agentCommand } from './start-agent.ts';

export function routeCommand(): Command {
  return agentCommand('route', 'run the agent of a routing host', async () => {
    return (await import('../agents/routing/routing-agent.ts')).startRoutingAgent;
  });
}
