import { lstatSync, readdirSync, watch } from 'node:fs'
import type { FSWatcher } from 'node:fs'
import { basename, join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { errnoOf } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import { isGone } from '../system-fault.ts'
import type { TreeWatcher, WatchListener } from '../tree-watcher.ts'
import { EventFlood } from './event-flood.ts'

/** Directories that are taken under watch, or out of it, before the event loop has its turn. */
const DIRECTORIES_PER_TURN = 200
const MISSED = 'So much changed at once that the system may not have told of all of it; everything is walked with the next scan.'

/**
 * Watches a directory of a Linux machine: one inotify watch for each directory in it. @parcel/watcher does the same, but keeps
 * the path of every file in memory besides, which for a million files measured 205 MB, where this takes 12.
 */
export class InotifyTreeWatcher implements TreeWatcher {
  readonly #root: string

  /** @param root an absolute path without symbolic links */
  constructor (root: string) {
    this.#root = root
  }

  async subscribe (listener: WatchListener): Promise<() => Promise<void>> {
    const watched = new WatchedTree(this.#root, listener)
    try {
      await watched.begin()
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
  readonly children: Map<string, Watched>
  /** Whether it is watched no more, and only its events are still counted. */
  isForgotten: boolean
}

class WatchedTree {
  readonly #root: string
  readonly #listener: WatchListener
  readonly #flood: EventFlood
  readonly #forgotten: FSWatcher[] = []
  #top: Watched | undefined
  #closed = false
  /** How often events were missed. */
  #floods = 0
  /** Whether all directories are just taken under watch again. */
  #isRenewing = false

  constructor (root: string, listener: WatchListener) {
    this.#root = root
    this.#listener = listener
    this.#flood = new EventFlood(() => {
      listener.missed(MISSED)
      void this.#renewAll()
    })
  }

  async begin (): Promise<void> {
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
   * Takes every directory under watch again after events were missed: some may be new, and others be watched under the name
   * that they had. Until that is done the old watches go on telling. Only the listener's next walk finds what was missed.
   */
  async #renewAll (): Promise<void> {
    this.#floods++
    if (this.#isRenewing) return
    this.#isRenewing = true
    try {
      let done = 0
      do {
        done = this.#floods
        // What is still in the queue tells of the time before.
        await turn()
        if (this.#closed) return
        const top = this.#watch('' as RelativePath)
        const old = this.#top
        this.#top = top
        await this.#watchBelow(top).finally(() => { if (old !== undefined) this.#forget(old) })
      } while (done < this.#floods)
      if (!this.#closed) this.#listener.missed(MISSED)
    } catch (error) {
      this.#lose(error)
    } finally {
      this.#isRenewing = false
    }
  }

  close (): void {
    this.#closed = true
    if (this.#top !== undefined) this.#forget(this.#top)
    for (const watcher of this.#forgotten.splice(0)) watcher.close()
  }

  #watch (path: RelativePath): Watched {
    const children = new Map<string, Watched>()
    try {
      const watcher = watch(join(this.#root, path))
      const watched = { path, watcher, children, isForgotten: false }
      watcher.on('change', (type, name) => { this.#happened(watched, type, String(name)) })
      // A directory that is gone tells so in the one above as well.
      watcher.on('error', error => { if (!isGone(error)) this.#lose(error) })
      return watched
    } catch (error) {
      throw errnoOf(error) === 'ENOSPC' ? new Error('the system allows no more watches; raise fs.inotify.max_user_watches', { cause: error }) : error
    }
  }

  /** Takes the subdirectories of a directory under watch, as far as they are not. Returns the new ones. */
  #watchChildren (watched: Watched): Watched[] {
    try {
      const added: Watched[] = []
      for (const entry of readdirSync(join(this.#root, watched.path), { withFileTypes: true })) {
        if (!entry.isDirectory() || watched.children.has(entry.name)) continue
        const child = this.#watchChild(watched, entry.name)
        if (child !== undefined) added.push(child)
      }
      return added
    } catch (error) {
      // What cannot be read is a problem that the scan tells of, and reads again each time.
      if (isGone(error) || errnoOf(error) === 'EACCES') return []
      throw error
    }
  }

  #watchChild (watched: Watched, name: string): Watched | undefined {
    try {
      const child = this.#watch((watched.path === '' ? name : `${watched.path}/${name}`) as RelativePath)
      watched.children.set(name, child)
      return child
    } catch (error) {
      if (isGone(error) || errnoOf(error) === 'EACCES') return undefined
      throw error
    }
  }

  #happened (watched: Watched, type: string, name: string): void {
    if (this.#closed) return
    this.#flood.count()
    if (watched.isForgotten) return
    const path = (watched.path === '' ? name : `${watched.path}/${name}`) as RelativePath
    if (type === 'change') {
      this.#listener.changed([path])
      return
    }
    if (watched === this.#top && name === basename(this.#root) && !isDirectory(this.#root)) {
      this.#listener.lost('The directory that was watched is gone.')
      return
    }
    try {
      this.#listener.changed([path, ...this.#renew(watched, name)])
    } catch (error) {
      this.#lose(error)
    }
  }

  /**
   * Something came or went under a name. What was watched there is not what is there now. Returns every directory that was taken
   * under watch: what happened in it before that was not told.
   */
  #renew (watched: Watched, name: string): RelativePath[] {
    const old = watched.children.get(name)
    if (old !== undefined) this.#forget(old)
    watched.children.delete(name)
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
   * Takes a directory out of watch with all below it; slowly, because each watch that ends leaves an event in the queue, and
   * because events of a watch that has ended would no longer be counted.
   */
  #forget (watched: Watched): void {
    if (this.#forgotten.length === 0) setImmediate(() => { this.#closeForgotten() })
    const stack = [watched]
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      at.isForgotten = true
      this.#forgotten.push(at.watcher)
      for (const child of at.children.values()) stack.push(child)
    }
  }

  #closeForgotten (): void {
    for (const watcher of this.#forgotten.splice(0, DIRECTORIES_PER_TURN)) watcher.close()
    if (this.#forgotten.length > 0) setImmediate(() => { this.#closeForgotten() })
  }

  #lose (error: unknown): void {
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
