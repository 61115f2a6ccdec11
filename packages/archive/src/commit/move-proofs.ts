import { equalDigests, toHex } from '@filesync/protocol'
import type { Digest, FileDigest } from '@filesync/protocol'
import type { Move } from '../compare/moves.ts'
import type { TaskList } from '../compare/task-list.ts'
import type { Fact } from '../store/facts.ts'

/** A file whose content is stored under another path. */
export interface ProvenMove {
  readonly task: number
  /** The number of the content in staging. */
  readonly number: number
  readonly fact: Fact
}

/**
 * Decides by digests which stored content belongs to which file that seems to move. Where only size and time led to a guess, another file
 * that left may be the right one: each is used once.
 */
export class MoveProofs {
  /** Numbers of the content that was used. */
  readonly proven: Set<number> = new Set()
  readonly #tasks: TaskList
  /** Facts of the stored files, by their numbers in staging. */
  readonly #moved: Promise<ReadonlyMap<number, Fact>>
  #guessed: ReadonlyMap<string, Move[]> | undefined

  constructor (tasks: TaskList, moved: Promise<ReadonlyMap<number, Fact>>) {
    this.#tasks = tasks
    this.#moved = moved
  }

  async prove (files: readonly FileDigest[]): Promise<ProvenMove[]> {
    const { moves } = this.#tasks
    if (moves.size === 0) return []
    const facts = await this.#moved
    return files.flatMap(({ task, digest }) => {
      const move = moves.get(task)
      if (move === undefined) return []
      const own = this.#isFree(move.number) ? facts.get(move.number) : undefined
      if (own !== undefined && equalDigests(own.digest, digest)) return [this.#use(task, move.number, own)]
      const other = move.how === 'guessed' ? this.#takeGuessed(facts, digest, move) : undefined
      const fact = other === undefined ? undefined : facts.get(other)
      return other === undefined || fact === undefined ? [] : [this.#use(task, other, fact)]
    })
  }

  #isFree (number: number): boolean {
    return !this.proven.has(number)
  }

  #use (task: number, number: number, fact: Fact): ProvenMove {
    this.proven.add(number)
    return { task, number, fact }
  }

  /** The content in staging has the mode of the file that it was guessed for, so only one of the same mode will do. */
  #takeGuessed (facts: ReadonlyMap<number, Fact>, digest: Digest, { mode }: Move): number | undefined {
    const left = (this.#guessed ??= groupGuessed(this.#tasks.moves.values(), facts)).get(guessKey(digest, mode))
    for (let move = left?.pop(); move !== undefined; move = left?.pop()) if (this.#isFree(move.number)) return move.number
    return undefined
  }
}

function groupGuessed (moves: Iterable<Move>, facts: ReadonlyMap<number, Fact>): Map<string, Move[]> {
  const groups = new Map<string, Move[]>()
  for (const move of moves) {
    const fact = move.how === 'guessed' ? facts.get(move.number) : undefined
    if (fact === undefined) continue
    const key = guessKey(fact.digest, move.mode)
    const known = groups.get(key)
    if (known === undefined) groups.set(key, [move])
    else known.push(move)
  }
  return groups
}

function guessKey (digest: Digest, mode: number): string {
  return `${toHex(digest)}:${String(mode)}`
}
