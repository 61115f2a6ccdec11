import type { Clock, RelativePath } from '@filesync/protocol'
import { changedMounts, parseMountTable } from '../mount-table.ts'
import { mountTableText } from './mount-table.ts'

/** Time between two looks at the mount table, which has some kilobytes. */
const INTERVAL_MS = 5_000

/** Looks for mounts and unmounts below a directory at intervals, because an inotify watch reports neither. */
export class MountChanges {
  readonly #root: string
  readonly #clock: Clock
  readonly #onChange: (paths: readonly RelativePath[]) => void
  #text: string | undefined
  #cancel: () => void = () => { /* not started */ }

  /** @param onChange called with the mount points at which something was mounted or unmounted */
  constructor (root: string, clock: Clock, onChange: (paths: readonly RelativePath[]) => void) {
    this.#root = root
    this.#clock = clock
    this.#onChange = onChange
  }

  start (): void {
    this.#text = mountTableText()
    if (this.#text !== undefined) this.#schedule()
  }

  stop (): void {
    this.#cancel()
  }

  #schedule (): void {
    this.#cancel = this.#clock.schedule(INTERVAL_MS, () => {
      this.#schedule()
      this.#look()
    })
  }

  #look (): void {
    const before = this.#text ?? ''
    const now = mountTableText() ?? before
    if (now === before) return
    this.#text = now
    const changed = changedMounts(parseMountTable(before, this.#root), parseMountTable(now, this.#root))
    if (changed.length > 0) this.#onChange(changed)
  }
}
