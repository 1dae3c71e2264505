import { expect } from 'chai';
import { renderDump } from '../../src/observe/views/dump.ts';

describe('dump view', () => {
  const answer = [
    {
      spi: 'c0de0001',
      hosts: ['target1', 'target2'],
      limits: { bytes: 0 },
      isAttacked: false,
      way: undefined,
    },
  ];

  it('the dump view prints an answer on one line, as swanctl --raw does', () => {
    expect(renderDump('sas', answer, false)).to.equal(
      'sas {0 {spi=c0de0001 hosts=[target1 target2] limits {bytes=0} isAttacked=no}}\n',
    );
  });

  it('the dump view prints a value a line, as swanctl --pretty does', () => {
    expect(renderDump('sas', answer, true)).to.equal(
      [
        'sas {',
        '  0 {',
        '    spi = c0de0001',
        '    hosts = [',
        '      target1',
        '      target2',
        '    ]',
        '    limits {',
        '      bytes = 0',
        '    }',
        '    isAttacked = no',
        '  }',
        '}',
        '',
      ].join('\n'),
    );
  });

  it('the dump view lets no control character of a peer reach the terminal', () => {
    expect(renderDump('sas', [{ ikeName: 'a\u001b[31mb' }], false)).to.not.contain('\u001b');
  });
});
