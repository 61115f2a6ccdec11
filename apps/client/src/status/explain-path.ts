import { formatCount } from '@filesync/program'
import type { Entry, Problem, RelativePath } from '@filesync/protocol'
import type { Explanation, LeftOutEntries } from '@filesync/scanner'
import type { RunRecord } from './run-record.ts'

/** The state of one path and the reason for it. */
export interface PathState {
  readonly path: string
  readonly state: 'stored' | 'pending' | 'unsettled' | 'ignored' | 'left-out' | 'excluded' | 'away' | 'problem' | 'absent'
  /** As a sentence, for a person. */
  readonly reason: string
  /** Since when the server has held it, at the latest; ISO 8601. */
  readonly storedAt?: string
}

/** Combines what a scan and the last run know about a path. */
export function explainPath (path: RelativePath, explanation: Explanation, record: RunRecord): PathState {
  switch (explanation.state) {
    case 'absent': return { path, state: 'absent', reason: 'It does not exist.' }
    case 'ignored': {
      const { source, line, pattern } = explanation.rule
      return { path, state: 'ignored', reason: `It is ignored by the rule "${pattern}" in ${source}, line ${line}.` }
    }
    case 'left-out': return { path, state: 'left-out', reason: `It is left out: ${explanation.leftOut.message}.` }
    case 'excluded': return { path, state: 'excluded', reason: `It is not pushed: ${explanation.why}.` }
    case 'away': return { path, state: 'away', reason: sentence(`It is away: ${explanation.problem.message}`) }
    case 'problem': return { path, state: 'problem', reason: sentence(`It is not stored: ${explanation.problem.message}`) }
    case 'unsettled': return { path, state: 'unsettled', reason: whyUnsettled(explanation.problem) }
    case 'listed': return explainListed(path, explanation, record)
  }
}

/** Ends a text with a full stop. Messages of problems are parts of sentences or whole sentences. */
function sentence (text: string): string {
  return text.endsWith('.') ? text : `${text}.`
}

function whyUnsettled ({ code, message }: Problem): string {
  return code === 'GROWING' ? `It is not stored completely: ${message}.` : `It is not stored yet: ${message}.`
}

function explainListed (path: RelativePath, listed: Extract<Explanation, { state: 'listed' }>, record: RunRecord): PathState {
  const { entry, below, leftOut } = listed
  const problem = record.problemOf(path)
  if (problem !== undefined) return { path, state: 'problem', reason: sentence(`It is not stored: ${problem.message}`) }
  const inside = below?.first ?? record.problemBelow(path)
  if (entry.kind === 'directory' && inside !== undefined) {
    return { path, state: 'problem', reason: sentence(`Not everything in it is stored: ${inside.path}: ${inside.message}`) }
  }
  const stored = record.storedState(path, entry)
  const found = describe(entry)
  if (stored === 'same') {
    const storedAt = new Date(record.storedAtMs).toISOString()
    const what = entry.kind === 'directory'
      ? `The server holds it with everything in it, except for ignored files${describeLeftOut(leftOut)}, exactly as it is here`
      : 'The server holds it exactly as it is here'
    return { path, state: 'stored', reason: `${what}${found}, since ${storedAt} at the latest.`, storedAt }
  }
  if (stored === 'unsure') {
    const reason = `The last run did not store ${record.unnamedProblems} entries that it did not name, ` +
      `so it is not known whether this one is stored${found}. "filesync-client safe" asks the server.`
    return { path, state: 'pending', reason }
  }
  const changed = stored === 'other' ? `${entry.kind === 'directory' ? 'Its content' : 'It'} has changed since it was stored${found}. ` : ''
  return { path, state: 'pending', reason: `${changed}${whyPending(record)}` }
}

/** What is left out in a directory, to append to a list. */
function describeLeftOut (leftOut: LeftOutEntries | undefined): string {
  const first = leftOut?.first[0]
  if (leftOut === undefined || first === undefined) return ''
  return ` and ${formatCount(leftOut.count, 'entry', 'entries')} that cannot be pushed, such as ${first.path} (${first.message})`
}

/** The size and time, or the target, in parentheses to append to a sentence. */
function describe (entry: Entry): string {
  if (entry.kind === 'directory') return ''
  if (entry.kind === 'symlink') return ` (a link to ${JSON.stringify(entry.target)})`
  return ` (${formatCount(entry.sizeBytes, 'byte')}, modified ${new Date(Number(entry.mtimeNs / 1_000_000n)).toISOString()})`
}

function whyPending ({ activity, last }: RunRecord): string {
  const notYet = (why: string): string => `It is not stored yet: ${why}.`
  switch (activity.doing) {
    case 'connecting': return notYet('the client is searching for the server')
    case 'queued': return notYet(`this client is at position ${activity.position} in the server's queue`)
    case 'comparing': return notYet('the folders are being compared with the archive')
    case 'sending': return notYet(`files are being sent (${activity.files} of ${activity.filesWanted})`)
    case 'waiting': {
      const next = `the next run is at ${new Date(activity.untilMs).toISOString()}`
      return notYet(last?.result.message === undefined ? next : `the last run ended with "${last.result.message}"; ${next}`)
    }
    // After `push` has ended, there is no process that could be asked.
    case 'idle': return 'No client is running, so it is not known whether it is stored. "filesync-client safe" asks the server.'
  }
}
