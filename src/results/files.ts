/** The files of a results directory. */
export const files = {
  results: 'results.json',
  junit: 'junit.xml',
  summary: 'summary.md',
  report: 'report.html',
  script: 'reproduce.sh',
  diagnostics: 'diagnostics'
} as const;

export const resultFileNames: readonly string[] = Object.values(files);
