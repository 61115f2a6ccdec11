import { LIMITS } from '@filesync/protocol'
import type { HashBytes } from '@filesync/protocol'
import type { ComparedDirectories } from './compared-directories.ts'
import type { Fitting } from './fit-files.ts'
import type { Links } from './links.ts'
import type { Move } from './moves.ts'
import { TaskLinks } from './task-links.ts'
import { partialName, TaskList } from './task-list.ts'

export interface TasksInit {
  readonly directories: ComparedDirectories
  readonly moves: readonly Move[]
  readonly links: Links
  readonly fitting: Fitting
  /** Whether only the digest is asked for if a file may be here already. */
  readonly digest: boolean
  /** Unfinished large files by name, with their sizes; empty if the client cannot resume. */
  readonly partials: ReadonlyMap<string, number>
  readonly hash: HashBytes
}

/** Makes one task for each wanted file: its content, the rest of it from an offset, its digest, or its content without holes. */
export function buildTasks ({ directories, moves, links, fitting, digest, partials, hash }: TasksInit): TaskList {
  const tasks = new TaskList(directories)
  if (partials.size > 0) resumePartials(tasks, partials, hash)
  if (digest) askDigests(tasks, directories)
  askMoves(tasks, moves)
  askMoves(tasks, links.stored)
  if (links.groups.length > 0) tasks.links = new TaskLinks(tasks, links.groups)
  if (fitting.sparse.size > 0) askSparse(tasks, fitting)
  return tasks
}

function resumePartials (tasks: TaskList, partials: TasksInit['partials'], hash: HashBytes): void {
  for (let task = 0; task < tasks.count; task++) {
    const file = tasks.describe(task)
    const { sizeBytes } = file
    if (sizeBytes <= LIMITS.packedFileBytes) continue
    const name = partialName(file, hash)
    const begunBytes = partials.get(name)
    if (begunBytes === undefined || begunBytes === 0 || begunBytes > sizeBytes) continue
    tasks.resume(task, name, begunBytes)
  }
}

function askDigests (tasks: TaskList, directories: ComparedDirectories): void {
  for (const directory of directories) {
    if (!directory.hasSpecialRoles) continue
    for (const place of directory.placesOf('alike')) {
      const task = tasks.numberOf(directory.owner, place)
      if (task !== undefined) tasks.askDigest(task, directory.entry(place).sizeBytes())
    }
  }
}

function askMoves (tasks: TaskList, moves: readonly Move[]): void {
  for (const move of moves) {
    const task = tasks.numberOf(move.directory.owner, move.place)
    // It does not fit.
    if (task === undefined) continue
    tasks.moves.set(task, move)
    tasks.askDigest(task, move.directory.entry(move.place).sizeBytes())
  }
}

function askSparse (tasks: TaskList, { sparse, leftBytes }: Fitting): void {
  tasks.sparseRoomBytes = leftBytes
  for (const [owner, places] of sparse) {
    for (const place of places) {
      const task = tasks.numberOf(owner, place)
      if (task !== undefined) tasks.sparse.add(task)
    }
  }
}
