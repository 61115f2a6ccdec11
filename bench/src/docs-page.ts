const BEGIN = '<!-- bench:begin -->'
const END = '<!-- bench:end -->'

/** Puts a text between the two comments that mark the place for the last run. Throws where they are missing. */
export function fillLastRun (page: string, text: string): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (begin === -1 || end < begin) throw new Error(`The page has no "${BEGIN}" with "${END}" behind it.`)
  return `${page.slice(0, begin + BEGIN.length)}\n\n${text.trim()}\n\n${page.slice(end)}`
}
