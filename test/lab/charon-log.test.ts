import { expect } from 'chai';
import { countRekeys } from '../../src/lab/charon-log.ts';

/** Lines of charon 5.9.8 on a routing host: a tunnel comes up, VICI asks for a rekey, the client rekeys. */
const UP = `
00:39:23.193 12[IKE] CHILD_SA web{1} established with SPIs e2048653_i 255a9588_o and TS 203.0.113.10/32 === 10.1.1.1/32`;
const ASKED = `
00:39:23.363 15[CFG] vici rekey CHILD_SA #1
00:39:23.364 15[ENC] generating CREATE_CHILD_SA request 0 [ N(REKEY_SA) SA No TSi TSr ]`;
const DONE = `
00:39:23.365 02[ENC] parsed CREATE_CHILD_SA response 0 [ SA No TSi TSr ]
00:39:23.365 02[IKE] inbound CHILD_SA web{4} established with SPIs 07ee559f_i b459f5ff_o and TS 203.0.113.10/32 === 10.1.1.1/32
00:39:23.365 02[IKE] outbound CHILD_SA web{4} established with SPIs 07ee559f_i b459f5ff_o and TS 203.0.113.10/32 === 10.1.1.1/32`;
const BY_PEER = `
00:39:25.417 16[ENC] parsed CREATE_CHILD_SA request 2 [ N(REKEY_SA) SA No TSi TSr ]
00:39:25.418 16[IKE] inbound CHILD_SA web{7} established with SPIs 8bbaacd4_i 1f459953_o and TS 203.0.113.10/32 === 10.1.1.1/32
00:39:25.418 16[ENC] generating CREATE_CHILD_SA response 2 [ SA No TSi TSr ]
00:39:25.419 12[IKE] outbound CHILD_SA web{7} established with SPIs 8bbaacd4_i 1f459953_o and TS 203.0.113.10/32 === 10.1.1.1/32`;

describe("rekeys in charon's log", () => {
  it('are none when a tunnel only comes up', () => {
    expect(countRekeys(UP)).to.deep.equal({ rekeys: 0, fromCounts: 0 });
  });

  it('are counted as caused by counts when VICI asked for them', () => {
    expect(countRekeys(UP + ASKED + DONE)).to.deep.equal({ rekeys: 1, fromCounts: 1 });
  });

  it('are not counted before the new SA is there in both directions', () => {
    expect(countRekeys(UP + ASKED)).to.deep.equal({ rekeys: 0, fromCounts: 0 });
  });

  it('of the peer count as rekeys, but not as caused by counts', () => {
    expect(countRekeys(UP + BY_PEER)).to.deep.equal({ rekeys: 1, fromCounts: 0 });
    expect(countRekeys(UP + ASKED + DONE + BY_PEER)).to.deep.equal({ rekeys: 2, fromCounts: 1 });
  });

  it('that charon started of itself do not count as caused by counts', () => {
    expect(countRekeys(UP + ASKED.replace(/.*vici.*/, '') + DONE)).to.deep.equal({
      rekeys: 1,
      fromCounts: 0,
    });
  });
});
