const BEGIN = '<!-- bench:begin -->'
const END = '<!-- bench:end -->'

/** Replaces the text between the two comments that mark the last run. Throws if they are missing. */
export function fillLastRun (page: string, text: string): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (begin === -1 || end < begin) throw new Error(`The page has no "${BEGIN}" followed by "${END}".`)
  return `${page.slice(0, begin + BEGIN.length)}\n\n${text.trim()}\n\n${page.slice(end)}`
}
