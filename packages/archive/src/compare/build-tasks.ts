import { LIMITS } from '@filesync/protocol'
import type { HashBytes } from '@filesync/protocol'
import type { ComparedDirectory } from './compared-directory.ts'
import type { Fitting } from './fit-files.ts'
import type { Links } from './links.ts'
import type { Move } from './moves.ts'
import { TaskLinks } from './task-links.ts'
import { partialName, TaskList } from './task-list.ts'

export interface TasksInit {
  readonly directories: readonly ComparedDirectory[]
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
  const owners = new Map(moves.length + links.stored.length === 0 ? [] : directories.map((directory, owner) => [directory, owner]))
  askMoves(tasks, owners, moves)
  askMoves(tasks, owners, links.stored)
  if (links.groups.length > 0) tasks.links = new TaskLinks(tasks, links.groups)
  if (fitting.sparse.size > 0) askSparse(tasks, directories, fitting)
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

function askDigests (tasks: TaskList, directories: readonly ComparedDirectory[]): void {
  let task = 0
  for (const directory of directories) {
    if (directory.alike.length > 0) {
      const mayBeHere = new Set(directory.alike)
      for (const [i, index] of directory.wanted.entries()) {
        if (mayBeHere.has(index)) tasks.askDigest(task + i, directory.entry(index).sizeBytes())
      }
    }
    task += directory.wanted.length
  }
}

function askMoves (tasks: TaskList, owners: ReadonlyMap<ComparedDirectory, number>, moves: readonly Move[]): void {
  for (const move of moves) {
    const task = tasks.numberOf(owners.get(move.directory) ?? 0, move.index)
    // It does not fit.
    if (task === undefined) continue
    tasks.moves.set(task, move)
    tasks.askDigest(task, move.directory.entry(move.index).sizeBytes())
  }
}

function askSparse (tasks: TaskList, directories: readonly ComparedDirectory[], { sparse, leftBytes }: Fitting): void {
  tasks.sparseRoomBytes = leftBytes
  let first = 0
  for (const directory of directories) {
    const indices = sparse.get(directory)
    if (indices !== undefined) directory.wanted.forEach((index, at) => { if (indices.has(index)) tasks.sparse.add(first + at) })
    first += directory.wanted.length
  }
}
