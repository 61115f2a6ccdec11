import type { HashBytes, Name, RelativePath } from '@filesync/protocol'
import { buildTasks } from './build-tasks.ts'
import type { ComparedDirectory } from './compared-directory.ts'
import type { Comparison, Displaced } from './comparison.ts'
import { leavesMirror } from './fit-files.ts'
import type { Fitting, PlanDraft } from './fit-files.ts'
import type { Links } from './links.ts'
import type { Move } from './moves.ts'
import type { Removal } from '../store/section.ts'
import type { TaskList } from './task-list.ts'
import { alreadyMoved } from './unfinished.ts'
import type { RememberedArea } from './unfinished.ts'

export interface PlanInit extends PlanDraft {
  /** Unfinished large files by name, with their sizes; empty if the client cannot resume. */
  readonly partials: ReadonlyMap<string, number>
  readonly hash: HashBytes
  /** Which of the wanted files fit. */
  readonly fitting: Fitting
  readonly stored: RememberedArea
}

/** What a sync is going to do. */
export interface Plan {
  readonly tasks: TaskList
  /** Files whose content is here already if their digests match. They are among the tasks. */
  readonly moves: readonly Move[]
  /** Names of files that are stored under other names. They are among the tasks. */
  readonly links: Links
  /** Before anything is placed. */
  readonly evictions: readonly Removal[]
  /** After everything is placed. */
  readonly removals: readonly Removal[]
  /** What the client no longer has, but the archive keeps: it leaves only the index. */
  readonly forgotten: readonly Removal[]
  /** Files that leave the mirror without other content at their path, and whose content does not move. */
  readonly leaving: readonly Displaced[]
  /** Those whose content seems to move. */
  readonly moving: readonly Displaced[]
  /** How many files get other content at their path while their old content does not move. */
  readonly replacing: number
  /** How many files do not fit. */
  readonly unfit: number
}

/** Derives from a finished comparison what is to be done. Reads the comparison and the index, and changes neither. */
export function makePlan (comparison: Comparison, init: PlanInit): Plan {
  const { directories, displaced, evicted } = comparison
  const { isGone, deletions, moves, links, fitting, stored } = init
  const moved = new Set(moves.map(move => move.from))
  const vanishing = displaced.filter(file => file.how !== 'replaced' && leavesMirror(file, init))
  const withoutMoved = vanishing.filter(({ path }) => !moved.has(path))
  const movedBefore = alreadyMoved(stored, displaced, withoutMoved)
  const gone = removalsOf([...directories.withGone()].filter(({ directory }) => isGone(directory)), evicted)
  return {
    tasks: buildTasks({ ...init, directories }),
    moves,
    links,
    evictions: groupByDirectory(evicted),
    removals: deletions === 'mirror' ? gone : [],
    forgotten: deletions === 'mirror' ? [] : gone,
    leaving: movedBefore.size === 0 ? withoutMoved : withoutMoved.filter(({ path }) => !movedBefore.has(path)),
    moving: vanishing.filter(({ path }) => moved.has(path)),
    replacing: displaced.filter(({ how, path }) => how === 'replaced' && !moved.has(path)).length,
    unfit: fitting.unfit,
  }
}

// What was evicted has left already; if the store folds names, its name now belongs to what replaced it.
function removalsOf (directories: readonly ComparedDirectory[], evicted: Comparison['evicted']): Removal[] {
  const left = new Set(evicted.map(({ directory, name }) => `${directory}/${name}`))
  return directories.flatMap(({ directory, gone }) => {
    const names = gone.filter(name => !left.has(`${directory}/${name}`))
    return names.length === 0 ? [] : [{ directory, names }]
  })
}

function groupByDirectory (names: Comparison['evicted']): Removal[] {
  const byDirectory = new Map<RelativePath, Name[]>()
  for (const { directory, name } of names) {
    const gathered = byDirectory.get(directory)
    if (gathered === undefined) byDirectory.set(directory, [name])
    else gathered.push(name)
  }
  return [...byDirectory].map(([directory, names]) => ({ directory, names }))
}
