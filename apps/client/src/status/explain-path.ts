import { formatCount } from '@filesync/program'
import type { Entry, Problem, RelativePath } from '@filesync/protocol'
import type { Explanation } from '@filesync/scanner'
import type { RunRecord } from './run-record.ts'

/** The state of one path, and the reason for it. */
export interface PathState {
  readonly path: string
  readonly state: 'stored' | 'pending' | 'unsettled' | 'ignored' | 'problem' | 'absent'
  /** In a sentence, for a person. */
  readonly reason: string
  /** Since when, at the latest, the server holds it; ISO 8601. */
  readonly storedAt?: string
}

/** Puts together what a scan and the last run know of a path. */
export function explainPath (path: RelativePath, explanation: Explanation, record: RunRecord): PathState {
  switch (explanation.state) {
    case 'absent': return { path, state: 'absent', reason: 'It is not there.' }
    case 'ignored': {
      const { source, line, pattern } = explanation.rule
      return { path, state: 'ignored', reason: `It is left out by the rule "${pattern}" in ${source}, line ${line}.` }
    }
    case 'problem': return { path, state: 'problem', reason: `It is not stored: ${explanation.problem.message}.` }
    case 'unsettled': return { path, state: 'unsettled', reason: whyUnsettled(explanation.problem) }
    case 'listed': return explainListed(path, explanation, record)
  }
}

function whyUnsettled ({ code, message }: Problem): string {
  return code === 'GROWING' ? `It is not stored to its end: ${message}.` : `It waits until it is quiet: ${message}.`
}

function explainListed (path: RelativePath, { entry, below }: Extract<Explanation, { state: 'listed' }>, record: RunRecord): PathState {
  const problem = record.problemOf(path)
  if (problem !== undefined) return { path, state: 'problem', reason: `It is not stored: ${problem.message}.` }
  const inside = below?.first ?? record.problemBelow(path)
  if (entry.kind === 'directory' && inside !== undefined) return { path, state: 'problem', reason: `Not everything in it is stored: ${inside.path}: ${inside.message}.` }
  const stored = record.storedState(path, entry)
  const found = describe(entry)
  if (stored === 'same') {
    const storedAt = new Date(record.storedAtMs).toISOString()
    const what = entry.kind === 'directory' ? 'The server holds it with everything in it, but for what rules leave out, as it is here' : 'The server holds it as it is here'
    return { path, state: 'stored', reason: `${what}${found}, since ${storedAt} at the latest.`, storedAt }
  }
  if (stored === 'unsure') {
    const reason = `The last run left out ${record.unnamedProblems} entries that it did not name, so it is not known whether this one is stored${found}. "filesync-client safe" asks the server.`
    return { path, state: 'pending', reason }
  }
  const changed = stored === 'other' ? `${entry.kind === 'directory' ? 'What is in it' : 'It'} has changed since it was stored${found}. ` : ''
  return { path, state: 'pending', reason: `${changed}${whyPending(record)}` }
}

/** What was measured of it, in words that follow a clause. */
function describe (entry: Entry): string {
  if (entry.kind === 'directory') return ''
  const time = new Date(Number(entry.mtimeNs / 1_000_000n)).toISOString()
  return entry.kind === 'symlink' ? ` (a link to ${JSON.stringify(entry.target)})` : ` (${formatCount(entry.sizeBytes, 'byte')}, modified ${time})`
}

function whyPending ({ activity, last }: RunRecord): string {
  const notYet = (why: string): string => `It is not stored yet: ${why}.`
  switch (activity.doing) {
    case 'connecting': return notYet('the server is being looked for')
    case 'queued': return notYet(`this client is in place ${activity.position} of the server's queue`)
    case 'comparing': return notYet('the directory is being compared with the archive')
    case 'sending': return notYet(`files are being sent (${activity.files} of ${activity.filesWanted})`)
    case 'waiting': {
      const next = `the next run is at ${new Date(activity.untilMs).toISOString()}`
      return notYet(last?.result.message === undefined ? next : `the last run ended with "${last.result.message}"; ${next}`)
    }
    // A run of `push` leaves nothing behind that could be asked.
    case 'idle': return 'No client is running, so it is not known here whether it is stored. "filesync-client safe" asks the server.'
  }
}
