import { joinPath, pathNames, readListing, ROOT_PATH } from '@filesync/protocol'
import type { Entry, Name, Problem, RelativePath } from '@filesync/protocol'
import type { DirectoryNode } from './directory-node.ts'
import type { Exclusions } from './exclusions.ts'
import { IgnoreRules } from './ignore-rules.ts'
import { ruleFiles } from './rule-set.ts'
import type { Explanation } from './scanner.ts'
import { collectLeftOut, collectProblems } from './snapshot.ts'
import type { NodeSnapshot } from './snapshot.ts'
import type { SourceRoot } from './source-root.ts'

export interface ExplainPorts {
  readonly root: SourceRoot
  readonly exclusions: Exclusions
}

/** The state of one path in a snapshot and the reason for it: the first entry on the way to the path that decides. */
export function explain (snapshot: NodeSnapshot | undefined, path: RelativePath, { root, exclusions }: ExplainPorts): Explanation {
  const excluded = exclusions.why(path)
  if (excluded !== undefined) return { state: 'excluded', why: excluded }
  const away = snapshot?.awayProblemOf(path)
  if (away !== undefined) return { state: 'away', problem: away }
  let node: DirectoryNode | undefined = snapshot?.root
  let directory = ROOT_PATH
  for (const name of pathNames(path)) {
    if (node === undefined) return { state: 'absent' }
    const at = joinPath(directory, name)
    const child: DirectoryNode | undefined = node.child(name)
    if (at === path || child === undefined) {
      return withGrowing(snapshot, explainEntry(node, directory, { name, path: at, target: path, root }))
    }
    node = child
    directory = at
  }
  return { state: 'absent' }
}

function withGrowing (snapshot: NodeSnapshot | undefined, found: Explanation): Explanation {
  return found.state === 'unsettled' && snapshot !== undefined ? { ...found, problem: snapshot.problemOf(found.problem) } : found
}

interface ExplainRequest {
  readonly name: Name
  readonly path: RelativePath
  /** The path to explain; the entry may be a directory on the way to it. */
  readonly target: RelativePath
  readonly root: SourceRoot
}

function explainEntry (node: DirectoryNode, directory: RelativePath, { name, path, target, root }: ExplainRequest): Explanation {
  const problem = node.notes.problems.find(candidate => candidate.path === path) ?? directoryProblem(node, name)
  const entry = findEntry(node, name)
  if (entry !== undefined && path === target) {
    if (problem === undefined) return { state: 'listed', entry, ...within(node, name) }
    return problem.code === 'UNSETTLED' ? { state: 'unsettled', entry, problem } : { state: 'problem', problem }
  }
  if (problem !== undefined) return { state: 'problem', problem }
  const leftOut = node.notes.leftOut?.first.find(candidate => candidate.path === path)
  if (leftOut !== undefined) return { state: 'left-out', leftOut }
  const isDirectory = path !== target || root.isDirectory(path) === true
  const rule = new IgnoreRules(ruleFiles(node.rules)).explain(path, isDirectory)
  if (rule !== undefined) return { state: 'ignored', rule }
  const own = node.notes.problems.find(candidate => candidate.path === directory)
  return own === undefined ? { state: 'absent' } : { state: 'problem', problem: own }
}

/** The problems and what is left out in a subdirectory and below it. */
function within (node: DirectoryNode, name: Name): Pick<Extract<Explanation, { state: 'listed' }>, 'below' | 'leftOut'> {
  const child = node.child(name)
  if (child === undefined) return {}
  const { problems: problemCount, leftOut: leftOutCount } = child.odd
  const [first] = collectProblems(child)
  return {
    ...(first !== undefined && { below: { first, count: problemCount } }),
    ...(leftOutCount > 0 && { leftOut: { first: collectLeftOut(child), count: leftOutCount } }),
  }
}

/** The problem of a subdirectory itself, which is recorded in its own node. */
function directoryProblem (node: DirectoryNode, name: Name): Problem | undefined {
  const child = node.child(name)
  return child?.notes.problems.find(candidate => candidate.code === 'UNREADABLE' || candidate.code === 'VANISHED')
}

function findEntry (node: DirectoryNode, name: Name): Entry | undefined {
  const page = node.large?.pages[node.large.pageOf(name)]
  for (const entry of readListing(page?.bytes ?? node.listing)) if (entry.name === name) return entry
  return undefined
}
