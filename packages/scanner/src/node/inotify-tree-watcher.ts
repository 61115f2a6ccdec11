import { lstatSync, readdirSync, watch } from 'node:fs'
import type { FSWatcher } from 'node:fs'
import { basename, join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { errnoOf, pathNames, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { Clock, RelativePath } from '@filesync/protocol'
import { isGone } from '../system-fault.ts'
import type { TreeWatcher, WatchListener } from '../tree-watcher.ts'
import { EventFlood } from './event-flood.ts'
import { MountChanges } from './mount-changes.ts'

/** Directories to watch or unwatch before yielding to the event loop. */
const DIRECTORIES_PER_TURN = 200
const MISSED = 'So much changed at once that the system may have dropped events; the next scan walks everything.'

/**
 * Watches a tree on Linux with one inotify watch per directory. @parcel/watcher does the same, but also keeps the path of every
 * file in memory, which measured 205 MB for a million files; this takes 12 MB.
 */
export class InotifyTreeWatcher implements TreeWatcher {
  readonly #root: string
  readonly #clock: Clock

  /** @param root an absolute path without symbolic links */
  constructor (root: string, clock: Clock) {
    this.#root = root
    this.#clock = clock
  }

  async subscribe (listener: WatchListener): Promise<() => Promise<void>> {
    const watched = new WatchedTree(this.#root, listener, this.#clock)
    try {
      await watched.start()
    } catch (error) {
      watched.close()
      throw error
    }
    return async () => { watched.close() }
  }
}

interface Watched {
  readonly path: RelativePath
  readonly watcher: FSWatcher
  /** Absent until there is one: most directories have no subdirectories. */
  children?: Map<string, Watched>
  /** Whether its events are only counted until the watch is closed. */
  isUnwatched: boolean
}

class WatchedTree {
  readonly #root: string
  readonly #listener: WatchListener
  readonly #flood: EventFlood
  readonly #mounts: MountChanges
  readonly #closing: FSWatcher[] = []
  #top: Watched | undefined
  #closed = false
  /** How often events may have been dropped. */
  #floods = 0
  /** Whether `#rewatchAll` is running. */
  #isRewatching = false

  constructor (root: string, listener: WatchListener, clock: Clock) {
    this.#root = root
    this.#listener = listener
    this.#flood = new EventFlood(() => {
      listener.missed(MISSED)
      void this.#rewatchAll()
    })
    this.#mounts = new MountChanges(root, clock, paths => { for (const path of paths) this.#onMount(path) })
  }

  async start (): Promise<void> {
    this.#mounts.start()
    this.#top = this.#watch('' as RelativePath)
    await this.#watchBelow(this.#top)
  }

  async #watchBelow (top: Watched): Promise<void> {
    const stack = [top]
    for (let count = 1, at = stack.pop(); at !== undefined; at = stack.pop(), count++) {
      if (count % DIRECTORIES_PER_TURN === 0) await turn()
      if (this.#closed) return
      for (const child of this.#watchChildren(at)) stack.push(child)
    }
  }

  /**
   * Watches every directory again after events were dropped: some directories may be new, and others watched under a former
   * name. The old watches remain until that is done. Only the listener's next walk finds the changes that were missed.
   */
  async #rewatchAll (): Promise<void> {
    this.#floods++
    if (this.#isRewatching) return
    this.#isRewatching = true
    try {
      let done = 0
      do {
        done = this.#floods
        // Events that are still in the queue are from before.
        await turn()
        if (this.#closed) return
        const top = this.#watch('' as RelativePath)
        const old = this.#top
        this.#top = top
        await this.#watchBelow(top).finally(() => { if (old !== undefined) this.#unwatch(old) })
      } while (done < this.#floods)
      if (!this.#closed) this.#listener.missed(MISSED)
    } catch (error) {
      this.#reportLost(error)
    } finally {
      this.#isRewatching = false
    }
  }

  close (): void {
    this.#closed = true
    this.#mounts.stop()
    if (this.#top !== undefined) this.#unwatch(this.#top)
    for (const watcher of this.#closing.splice(0)) watcher.close()
  }

  #watch (path: RelativePath): Watched {
    try {
      const watcher = watch(join(this.#root, path))
      const watched: Watched = { path, watcher, isUnwatched: false }
      watcher.on('change', (type, name) => { this.#onEvent(watched, type, String(name)) })
      // The removal of a directory is also an event in the one above.
      watcher.on('error', error => { if (!isGone(error)) this.#reportLost(error) })
      return watched
    } catch (error) {
      if (errnoOf(error) !== 'ENOSPC') throw error
      throw new Error('the system allows no more watches; raise fs.inotify.max_user_watches', { cause: error })
    }
  }

  /** Watches the subdirectories of a directory that are not watched yet, and returns them. */
  #watchChildren (watched: Watched): Watched[] {
    try {
      const added: Watched[] = []
      for (const entry of readdirSync(join(this.#root, watched.path), { withFileTypes: true })) {
        if (!entry.isDirectory() || watched.children?.has(entry.name) === true) continue
        const child = this.#watchChild(watched, entry.name)
        if (child !== undefined) added.push(child)
      }
      return added
    } catch (error) {
      // The scan reports an unreadable directory as a problem, and reads it again each time.
      if (isGone(error) || errnoOf(error) === 'EACCES') return []
      throw error
    }
  }

  #watchChild (watched: Watched, name: string): Watched | undefined {
    try {
      const child = this.#watch((watched.path === '' ? name : `${watched.path}/${name}`) as RelativePath)
      watched.children ??= new Map()
      watched.children.set(name, child)
      return child
    } catch (error) {
      if (isGone(error) || errnoOf(error) === 'EACCES') return undefined
      throw error
    }
  }

  #onEvent (watched: Watched, type: string, name: string): void {
    if (this.#closed) return
    this.#flood.count()
    if (watched.isUnwatched) return
    const path = (watched.path === '' ? name : `${watched.path}/${name}`) as RelativePath
    if (type === 'change') {
      this.#listener.changed([path])
      return
    }
    if (watched === this.#top && name === basename(this.#root) && !isDirectory(this.#root)) {
      this.#listener.lost('The watched folder is gone.')
      return
    }
    try {
      this.#listener.changed([path, ...this.#rewatch(watched, name)])
    } catch (error) {
      this.#reportLost(error)
    }
  }

  /** Something was mounted or unmounted, so another directory has the path. */
  #onMount (path: RelativePath): void {
    if (path === ROOT_PATH) {
      this.#listener.lost('A file system was mounted at the watched directory, or unmounted.')
      return
    }
    const { directory, name } = splitPath(path)
    let parent = this.#top
    for (const above of pathNames(directory)) parent = parent?.children?.get(above)
    try {
      this.#listener.changed([path, ...parent === undefined ? [] : this.#rewatch(parent, name)])
    } catch (error) {
      this.#reportLost(error)
    }
  }

  /**
   * An entry appeared or vanished, so a watch under its name is of another directory. Returns every directory that is watched
   * now and was not before: earlier changes in it were not reported.
   */
  #rewatch (watched: Watched, name: string): RelativePath[] {
    const old = watched.children?.get(name)
    if (old !== undefined) this.#unwatch(old)
    watched.children?.delete(name)
    if (!isDirectory(join(this.#root, watched.path, name))) return []
    const paths: RelativePath[] = []
    const child = this.#watchChild(watched, name)
    const stack = child === undefined ? [] : [child]
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      paths.push(at.path)
      for (const child of this.#watchChildren(at)) stack.push(child)
    }
    return paths
  }

  /**
   * Stops watching a directory and everything below it. Watches are closed slowly, because each that is closed leaves an event
   * in the queue, and because events of a closed watch would no longer be counted.
   */
  #unwatch (watched: Watched): void {
    if (this.#closing.length === 0) setImmediate(() => { this.#closeUnwatched() })
    const stack = [watched]
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      at.isUnwatched = true
      this.#closing.push(at.watcher)
      for (const child of at.children?.values() ?? []) stack.push(child)
    }
  }

  #closeUnwatched (): void {
    for (const watcher of this.#closing.splice(0, DIRECTORIES_PER_TURN)) watcher.close()
    if (this.#closing.length > 0) setImmediate(() => { this.#closeUnwatched() })
  }

  #reportLost (error: unknown): void {
    this.#listener.lost(`The directory can no longer be watched: ${error instanceof Error ? error.message : String(error)}.`)
  }
}

function isDirectory (path: string): boolean {
  try {
    return lstatSync(path).isDirectory()
  } catch (error) {
    if (isGone(error)) return false
    throw error
  }
}
