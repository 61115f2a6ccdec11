import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import type { DataSet } from './data-set.ts'
import { warmMemory } from './warm-memory.ts'

/** How fast this machine does the same work without any protocol, which no program can beat by much. */
export class PipeLimit {
  readonly name: string
  readonly durationsMs: number[] = []
  readonly #script: string

  private constructor (name: string, script: string) {
    this.name = name
    this.#script = script
  }

  static tar (): PipeLimit {
    return new PipeLimit('tar | tar', 'tar -C "$1" -cf - . | tar -C "$2" -xf -')
  }

  static cat (): PipeLimit {
    return new PipeLimit('cat | cat', 'cat "$1"/large.bin | cat > "$2"/large.bin')
  }

  static find (): PipeLimit {
    return new PipeLimit('find -printf', 'find "$1" -printf "%p %s %T@ %m\\n" > "$2"/list')
  }

  async measure (bench: Bench, set: DataSet): Promise<void> {
    const destination = mkdtempSync(join(bench.home, 'l-'))
    try {
      warmMemory(bench, set)
      this.durationsMs.push((await bench.children.run('sh', ['-c', this.#script, 'sh', set.root, destination])).durationMs)
    } finally {
      rmSync(destination, { recursive: true })
    }
  }
}
