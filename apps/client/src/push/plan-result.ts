import { formatCount, printable, problemLines } from '@filesync/program'
import { formatSize } from '@filesync/protocol'
import type { FileSyncError, Problem } from '@filesync/protocol'
import type { PushPlan } from './plan-session.ts'

/** The line of `plan --json`. */
export interface PlanResult {
  /** `stopped`: the server would not do it, and `message` says why. */
  readonly result: 'ok' | 'problems' | 'stopped' | 'failed'
  /** Files that the server has nothing of, and those that it has another state of. */
  readonly filesNew: number
  readonly bytesNew: number
  readonly filesChanged: number
  readonly bytesChanged: number
  /** Files that would move to versions. */
  readonly filesDeleted: number
  readonly bytesDeleted: number
  readonly filesRenamed: number
  readonly filesTotal: number
  readonly bytesTotal: number
  readonly problems: readonly Problem[]
  readonly problemCount: number
  readonly code?: string
  readonly message?: string
}

/** What a plan means for the person or script that asked for it. */
export function planResult ({ tree, plan }: PushPlan): PlanResult {
  const { added, changed, deleted, renamed, obstacle } = plan
  const problemCount = tree.problemCount + plan.problemCount
  return {
    result: obstacle !== undefined ? 'stopped' : problemCount > 0 ? 'problems' : 'ok',
    filesNew: added.files, bytesNew: added.bytes, filesChanged: changed.files, bytesChanged: changed.bytes,
    filesDeleted: deleted.files, bytesDeleted: deleted.bytes, filesRenamed: renamed, filesTotal: tree.files, bytesTotal: tree.bytes,
    problems: [...tree.problems, ...plan.problems], problemCount,
    ...(obstacle !== undefined && { message: obstacle }),
  }
}

/** As {@link planResult}, where there is no plan. */
export function failedPlan ({ code, message }: FileSyncError): PlanResult {
  return {
    result: 'failed', filesNew: 0, bytesNew: 0, filesChanged: 0, bytesChanged: 0, filesDeleted: 0, bytesDeleted: 0, filesRenamed: 0, filesTotal: 0, bytesTotal: 0,
    problems: [], problemCount: 0, code, message,
  }
}

/** The same for a person, over several lines. */
export function describePlan (result: PlanResult): string {
  const rows: readonly (readonly [string, number, number | undefined])[] = [
    ['new', result.filesNew, result.bytesNew], ['changed', result.filesChanged, result.bytesChanged],
    ['renamed', result.filesRenamed, undefined], ['to versions', result.filesDeleted, result.bytesDeleted],
  ]
  const doing = rows.filter(([, files]) => files > 0).map(([what, files, bytes]) => `  ${what.padEnd(11)}  ${formatCount(files, 'file')}${bytes === undefined ? '' : `, ${formatSize(bytes)}`}`)
  const total = `${formatCount(result.filesTotal, 'file')}, ${formatSize(result.bytesTotal)}`
  return [
    doing.length === 0 ? `A push would change nothing: ${total}.` : `A push of ${total} would bring about, at most:`,
    ...doing,
    ...(result.problemCount === 0 ? [] : [`${formatCount(result.problemCount, 'entry', 'entries')} would not be stored:`, ...problemLines(result)]),
    ...(result.message === undefined ? [] : [`The server would stop it: ${printable(result.message)}`]),
  ].join('\n')
}
