import { sep } from 'node:path'
import type { RelativePath } from '@filesync/protocol'
import type { TreeWatcher, WatchListener } from '../tree-watcher.ts'

/** Watches a local directory by the API of its operating system, which reports dropped events as an error. */
export class ParcelTreeWatcher implements TreeWatcher {
  readonly #root: string

  /** @param root an absolute path without symbolic links */
  constructor (root: string) {
    this.#root = root
  }

  async subscribe (listener: WatchListener): Promise<() => Promise<void>> {
    // Loaded on use: it is native, and a machine without a build of it can still walk.
    const { subscribe } = await import('@parcel/watcher')
    const subscription = await subscribe(this.#root, (error, events) => {
      if (error !== null) {
        listener.lost(`The operating system ended the watch: ${error.message}.`)
        return
      }
      if (events.some(event => event.path === this.#root && event.type === 'delete')) {
        listener.lost('The watched folder is gone.')
        return
      }
      listener.changed(events.map(event => this.#relative(event.path)))
    })
    return async () => { await subscription.unsubscribe() }
  }

  #relative (path: string): RelativePath {
    const below = path.slice(this.#root.length).split(sep).join('/')
    return (below.startsWith('/') ? below.slice(1) : below) as RelativePath
  }
}
