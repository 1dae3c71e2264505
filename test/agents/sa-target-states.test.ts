import { expect } from 'chai';
import { inboundPhase, outboundPhase, saAtTarget } from '../../src/agents/routing/sa-target-states.ts';

const serving = {
  host: 'a',
  isConnected: true,
  refusal: undefined,
  isAcknowledged: true,
  phase: 'serving',
} as const;

describe('an SA at a target', () => {
  it('is offered until the target has acknowledged it', () => {
    expect(saAtTarget({ ...serving, isAcknowledged: false })).to.deep.equal({ host: 'a', state: 'offered' });
  });

  it('is then what its packets do', () => {
    for (const phase of ['installed', 'serving', 'draining'] as const)
      expect(saAtTarget({ ...serving, phase })).to.deep.equal({ host: 'a', state: phase });
  });

  it('has failed, with the reason, when the target refused it', () => {
    const refused = { ...serving, isAcknowledged: false, refusal: 'no such algorithm' };
    expect(saAtTarget(refused)).to.deep.equal({ host: 'a', state: 'failed', reason: 'no such algorithm' });
  });

  it('is down with the target, whatever was known before', () => {
    expect(saAtTarget({ ...serving, isConnected: false })).to.deep.equal({ host: 'a', state: 'down' });
    const refused = { ...serving, isConnected: false, refusal: 'x' };
    expect(saAtTarget(refused)).to.deep.equal({ host: 'a', state: 'down' });
  });

  it('is installed inbound as long as windows are missing, and drains when a younger one is there', () => {
    expect(inboundPhase({ isWaitingForWindows: true, isReplaced: true })).to.equal('installed');
    expect(inboundPhase({ isWaitingForWindows: false, isReplaced: true })).to.equal('draining');
    expect(inboundPhase({ isWaitingForWindows: false, isReplaced: false })).to.equal('serving');
  });

  it('is installed outbound until charon switches to it, and drains when the last policy has left it', () => {
    expect(outboundPhase(false, false)).to.equal('installed');
    expect(outboundPhase(true, false)).to.equal('serving');
    expect(outboundPhase(true, true), 'another policy of the SA').to.equal('serving');
    expect(outboundPhase(false, true)).to.equal('draining');
  });
});
