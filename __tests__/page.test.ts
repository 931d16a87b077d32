import {describe, expect, test} from '@jest/globals';
import {parseAsciiDocBlocks, parseMarkdownBlocks} from '../src/base/page.ts';

describe('AsciiDoc', () => {
  const page = `:release: release-9
:other-one: 2

== A page
. Do \`this\`.
+
[source,bash,subs="attributes+",name="mine"]
----
one {release} {unknown}
[source,bash]
----

. Look.
[source,console]
----
$ shown
----
ifdef::mine[]
two {other-one}
three
endif::[]
[source,bash,name="theirs"]
----
four
----
[source,bash]
no block
`;

  test('has what is tested, and what is shown in bash', () => {
    expect(parseAsciiDocBlocks(page, 'mine')).toEqual([
      {title: 'Do `this`.', text: 'one release-9 {unknown}\n[source,bash]', tested: true},
      {title: 'Look.', text: 'two 2\nthree', tested: true},
      {title: 'Look.', text: 'four', tested: false}
    ]);
  });

  test('ends a block that has no end with the page', () => {
    expect(parseAsciiDocBlocks('ifdef::mine[]\na\r\nb', 'mine')).toEqual([
      {title: '', text: 'a\nb', tested: true}
    ]);
  });
});

describe('Markdown', () => {
  const page = `1. Do this.
   \`\`\`bash { name=one tag=mine }
   one
     two
   \`\`\`
2. Look.
\`\`\`console
$ shown
\`\`\`
<!-- \`\`\`bash { name=two tag=mine}
    three
\`\`\` -->
\`\`\`bash
four
\`\`\`
\`\`\`bash { tag=mine-too }
five
`;

  test('has what is tested, also where readers do not see it, and what is shown in bash', () => {
    expect(parseMarkdownBlocks(page, 'mine')).toEqual([
      {title: 'Do this.', text: 'one\n  two', tested: true},
      {title: 'Look.', text: 'three', tested: true},
      {title: 'Look.', text: 'four', tested: false},
      {title: 'Look.', text: 'five\n', tested: false}
    ]);
  });
});
