import { formatCount, printable, problemLines } from '@filesync/program'
import { formatSize } from '@filesync/protocol'
import type { FileSyncError, Problem } from '@filesync/protocol'
import type { LeftOut } from '@filesync/scanner'
import type { PushPlan } from './plan-session.ts'

/** The output of `plan --json`. */
export interface PlanResult {
  /** `stopped`: the server would refuse the push, and `message` says why. */
  readonly result: 'ok' | 'problems' | 'stopped' | 'failed'
  /** New files are those that the server does not have; changed ones those that it has with other content. */
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
  /** The first entries that would be left out because of what they are, such as sockets, and the number of all. They are no problems. */
  readonly leftOut: readonly LeftOut[]
  readonly leftOutCount: number
  readonly code?: string
  readonly message?: string
}

/** The result to show for a plan. */
export function planResult ({ tree, plan }: PushPlan): PlanResult {
  const { added, changed, deleted, renamed, obstacle } = plan
  const problemCount = tree.problemCount + plan.problemCount
  return {
    result: obstacle !== undefined ? 'stopped' : problemCount > 0 ? 'problems' : 'ok',
    filesNew: added.files,
    bytesNew: added.bytes,
    filesChanged: changed.files,
    bytesChanged: changed.bytes,
    filesDeleted: deleted.files,
    bytesDeleted: deleted.bytes,
    filesRenamed: renamed,
    filesTotal: tree.files,
    bytesTotal: tree.bytes,
    problems: [...tree.problems, ...plan.problems],
    problemCount,
    leftOut: tree.leftOut?.first ?? [],
    leftOutCount: tree.leftOut?.count ?? 0,
    ...(obstacle !== undefined && { message: obstacle }),
  }
}

/** As {@link planResult}, if there is no plan because of an error. */
export function failedPlan ({ code, message }: FileSyncError): PlanResult {
  return {
    result: 'failed',
    filesNew: 0,
    bytesNew: 0,
    filesChanged: 0,
    bytesChanged: 0,
    filesDeleted: 0,
    bytesDeleted: 0,
    filesRenamed: 0,
    filesTotal: 0,
    bytesTotal: 0,
    problems: [],
    problemCount: 0,
    leftOut: [],
    leftOutCount: 0,
    code,
    message,
  }
}

/** What no push keeps of a file, whatever its file system has. */
const NOT_KEPT = 'Not kept: extended attributes, access control lists, owner and group, set-id and sticky bits, and the time of creation.'

/** The result as several lines of text. */
export function describePlan (result: PlanResult): string {
  const rows: readonly (readonly [string, number, number | undefined])[] = [
    ['new', result.filesNew, result.bytesNew],
    ['changed', result.filesChanged, result.bytesChanged],
    ['renamed', result.filesRenamed, undefined],
    ['to versions', result.filesDeleted, result.bytesDeleted],
  ]
  const changes = rows.filter(([, files]) => files > 0).map(([what, files, bytes]) =>
    `  ${what.padEnd(11)}  ${formatCount(files, 'file')}${bytes === undefined ? '' : `, ${formatSize(bytes)}`}`)
  const total = `${formatCount(result.filesTotal, 'file')}, ${formatSize(result.bytesTotal)}`
  const leftOut = `${formatCount(result.leftOutCount, 'entry', 'entries')} would be left out, which is no problem:`
  const notStored = `${formatCount(result.problemCount, 'entry', 'entries')} would not be stored:`
  return [
    changes.length === 0 ? `A push would change nothing: ${total}.` : `A push of ${total} would make at most these changes:`,
    ...changes,
    ...(result.problemCount === 0 ? [] : [notStored, ...problemLines(result)]),
    ...(result.leftOutCount === 0 ? [] : [leftOut, ...problemLines({ problems: result.leftOut, problemCount: result.leftOutCount })]),
    NOT_KEPT,
    ...(result.message === undefined ? [] : [`The server would refuse the push: ${printable(result.message)}`]),
  ].join('\n')
}
