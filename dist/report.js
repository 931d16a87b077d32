// Made by scripts/entries.mjs. One bundle for all actions: it goes by the name of this file.
import './index.js';
