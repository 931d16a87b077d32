// npm run docs: writes docs/inputs.md and docs/outputs.md from the three action.yml, and docs/checks.md from the
// catalogue. The latter is TypeScript, so __tests__/documentation.test.ts writes it. That test also compares the pages.
import * as fs from 'node:fs';
import * as path from 'node:path';
import {parse} from 'yaml';

const root = path.resolve(import.meta.dirname, '..');
const readAction = folder => parse(fs.readFileSync(path.join(root, folder, 'action.yml'), 'utf8'));

/** The inputs of the main action, in the groups and the order of docs/inputs.md. */
const groups = [
  {
    title: 'Cluster',
    text: 'See [kind-cluster.md](kind-cluster.md) and [existing-cluster.md](existing-cluster.md).',
    inputs: [
      ...['cluster', 'kubeconfig', 'context', 'targets', 'cluster-name', 'kind-config'],
      ...['ip-families', 'tuned', 'cleanup']
    ]
  },
  {
    title: 'Versions',
    text: 'See [versions.md](versions.md).',
    inputs: [
      ...['istio-version', 'operator-version', 'operator-chart', 'operator-image'],
      ...['kubernetes-version', 'node-image', 'kind-version', 'kubectl-version', 'helm-version']
    ]
  },
  {
    title: 'Mesh',
    text: 'See [images.md](images.md), [ambient.md](ambient.md) and [upgrade.md](upgrade.md).',
    inputs: [
      ...['istio-values', 'operator-values', 'istio-hub', 'injection-label', 'dataplane-mode'],
      ...['istio-cni', 'upgrade-from', 'upgrade-strategy']
    ]
  },
  {
    title: 'Checks',
    text: 'See [troubleshooting.md](troubleshooting.md#layers) for the layers and the check ids.',
    inputs: [
      ...['checks', 'retries', 'check-timeout', 'fail-on-flaky', 'samples', 'echo-image'],
      'client-image'
    ]
  },
  {
    title: 'Run',
    text: 'See [outputs.md](outputs.md#files-of-a-run) for the files of `results-dir`.',
    inputs: ['timeout', 'diagnostics', 'results-dir', 'mirror', 'dry-run']
  }
];

const actions = [
  {
    title: 'Matrix action',
    folder: 'matrix',
    text: '`uses: OWNER/REPO/matrix@v1`. See [matrix-and-report.md](matrix-and-report.md).'
  },
  {
    title: 'Report action',
    folder: 'report',
    text: '`uses: OWNER/REPO/report@v1`. See [matrix-and-report.md](matrix-and-report.md).'
  }
];

const files = [
  [
    'results.json',
    'all results; the other files are created from it ([schema](../schema/results.schema.json))'
  ],
  ['summary.md', 'the job summary ([passed](summary-passed.png), [failed](summary-failed.png))'],
  [
    'report.html',
    'one HTML page that needs no network ([passed](report-passed.png), [failed, on a phone](report-failed-phone.png))'
  ],
  [
    'junit.xml',
    'the checks as test cases, for test reporters ([example](../examples/test-reporter.yml))'
  ],
  ['reproduce.sh', 'the same run as a shell script, which ends with the failed check'],
  [
    'diagnostics/',
    'events, status, logs of operator, istiod and proxies, Envoy’s configuration, and the node’s addresses, routes and rules'
  ]
];

const table = (head, rows) =>
  [head, head.map(() => '---'), ...rows]
    .map(cells => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n');

const code = text => `\`${text}\``;

const inputTable = (inputs, names = Object.keys(inputs)) =>
  table(
    ['input', 'default', 'meaning'],
    names.map(name => {
      const {default: value, description} = inputs[name];
      return [code(name), value === undefined ? '' : code(value), description];
    })
  );

const outputTable = outputs =>
  table(
    ['output', 'meaning'],
    Object.entries(outputs).map(([name, {description}]) => [code(name), description])
  );

const section = (title, ...parts) => [`## ${title}`, ...parts].join('\n\n');

/** Throws if the groups do not name each input of the main action once. */
function checkGroups(inputs) {
  const grouped = groups.flatMap(group => group.inputs).sort();
  const all = Object.keys(inputs).sort();
  if (grouped.join() !== all.join())
    throw new Error(`The groups in make-docs.mjs name ${grouped}; action.yml has ${all}`);
}

function inputsPage() {
  const {inputs} = readAction('.');
  checkGroups(inputs);
  return [
    '# Inputs',
    'All inputs are optional. `npm start` accepts those of the main action as flags. If inputs are invalid, the run stops before it creates anything, and names all of them.',
    ...groups.map(({title, text, inputs: names}) =>
      section(title, text, inputTable(inputs, names))
    ),
    ...actions.map(({title, folder, text}) =>
      section(title, text, inputTable(readAction(folder).inputs))
    )
  ];
}

const outputsPage = () => [
  '# Outputs',
  'Outputs are set however the run ends. An output is empty if the run did not get that far.',
  section('Main action', outputTable(readAction('.').outputs)),
  section(
    'Files of a run',
    'The directory `results-dir` of the main action has these files. `diagnostics/` depends on the input `diagnostics`.',
    table(
      ['file', 'content'],
      files.map(([name, content]) => [code(name), content])
    )
  ),
  ...actions.map(({title, folder, text}) =>
    section(title, text, outputTable(readAction(folder).outputs))
  )
];

/** Returns docs/checks.md: a section for each layer of `layers` with the attribution of its failures and its checks. */
export const renderChecksPage = (layers, catalogue, attributions) => {
  const parts = [
    '<!-- Generated by `npm run docs` from src/checks/catalogue.ts. -->\n# Checks',
    'The layers are in order, from the ground up. Reports name the first layer with a failure, and link to its section here.',
    'The headline, the class and the next step are those of the layer. A run reports more precise ones when the results of other checks allow it. See [troubleshooting.md](troubleshooting.md) for the classes, and for what each layer proves in one line.',
    ...layers.map(layer => {
      const {class: failureClass, headline, hint} = attributions[layer];
      const checks = catalogue.filter(check => check.layer === layer);
      return section(
        layer,
        `**Failure:** ${headline('')}. Class ${code(failureClass)}.`,
        `**Next step:** ${hint}`,
        table(
          ['check', 'proves', 'expected'],
          checks.map(({id, title, expected}) => [code(id), title, expected])
        )
      );
    })
  ];
  return `${parts.join('\n\n')}\n`;
};

/** File name in docs/ → its text. */
export const pages = () =>
  Object.fromEntries(
    Object.entries({'inputs.md': inputsPage(), 'outputs.md': outputsPage()}).map(
      ([name, parts]) => [
        name,
        `<!-- Generated by \`npm run docs\` from action.yml. -->\n${parts.join('\n\n')}\n`
      ]
    )
  );

if (process.argv[1] === import.meta.filename)
  for (const [name, text] of Object.entries(pages()))
    fs.writeFileSync(path.join(root, 'docs', name), text);
