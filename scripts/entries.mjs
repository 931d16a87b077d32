// Part of `npm run build`: writes dist/post.js, and dist/NAME.js for each NAME/action.yml. Each file only imports the bundle,
// which selects the action by the name of the started file. All actions share one bundle, which saves space.
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
