import type { Problem, RelativePath } from '@filesync/protocol'
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

/** Puts together what the last scan and the last run know of a path. */
export function explainPath (path: RelativePath, explanation: Explanation, record: RunRecord): PathState {
  switch (explanation.state) {
    case 'absent': return { path, state: 'absent', reason: 'It was not there at the last scan.' }
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

function explainListed (path: RelativePath, { entry }: Extract<Explanation, { state: 'listed' }>, record: RunRecord): PathState {
  const problem = record.problemOf(path)
  if (problem !== undefined) return { path, state: 'problem', reason: `It is not stored: ${problem.message}.` }
  const sinceMs = record.storedSinceMs(path, entry)
  if (sinceMs === undefined) return { path, state: 'pending', reason: whyPending(record) }
  const storedAt = new Date(sinceMs).toISOString()
  return { path, state: 'stored', reason: `The server holds it as it is here, since ${storedAt} at the latest.`, storedAt }
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
