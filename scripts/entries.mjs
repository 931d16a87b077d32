// What post runs, dist/post.js, and each action beside the main one: dist/NAME.js for NAME/action.yml. It only imports the
// bundle, which tells by its own file name which action it is: one bundle for all, 1 MB instead of 3.
// Part of `npm run build`.
import * as fs from 'node:fs';
import * as path from 'node:path';

const root = path.join(import.meta.dirname, '..');
const actions = fs
  .readdirSync(root)
  .filter(name => fs.existsSync(path.join(root, name, 'action.yml')))
  .sort();
for (const name of ['post', ...actions]) {
  const text = `// Made by scripts/entries.mjs. One bundle for all actions: it goes by the name of this file.\nimport './index.js';\n`;
  fs.writeFileSync(path.join(root, 'dist', `${name}.js`), text);
}
